"""The answer in a completion, in the forms that models write."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.errors import DatasetError
from lrgen.finetune.tasks import TASKS
from lrgen.score.answers import Answer, answer_of
from lrgen.source import diffs, sections
from tests import corpus
from tests.score.texts import (
    DIFF,
    DIFF_WITH_BLANK,
    EMPTY,
    FILE,
    INCOMPLETE,
    MIDDLE,
    OBJECT,
    OTHER_FILE,
    OTHER_SCHEDULE,
    RATES,
    SCHEDULE,
    STUB,
    TABLE,
    USAGE,
    fenced,
    indented,
)

ENTRIES = '  "0": 0.1,\n  "30": 0.01\n'  # of a JSON object
JUDGEMENT = "incorrect\nline 12: `step / 3`\nIt divides by 3."
REPEATED = f"from torch.optim.lr_scheduler import StepLR\n\n\n{MIDDLE}"  # the middle of FILE with its import

DOCUMENTED = FILE.replace(
    "        self.scheduler",
    '        """Train:\n\n        ```python\n        net.learn(data)\n        ```\n        """\n        self.scheduler',
)
OVERRIDDEN = f"{FILE}\n\n{MIDDLE[MIDDLE.index('def make_scheduler') :].replace('_step_size(total_steps)', '3')}"
SEPARATED = FILE.replace("each third", "each\u2028third")
STARRED = FILE.replace("import StepLR", "import *")
BEGUN = FILE[: FILE.index("\n\n\nclass Net")]
ELIDED = f"{BEGUN}\n\n\nclass Net(nn.Module):\n    # ... unchanged\n"


@dataclass(frozen=True)
class Case:
    """A completion of a task with the answer in it."""

    task: str
    completion: str
    answer: str | None
    form: str = ""


CASES = {
    # Raw.
    "a file": Case("write", FILE, FILE, "raw"),
    "a file without a last newline": Case("write", FILE.rstrip(), FILE, "raw"),
    "a file between blank lines": Case("prefer", f"\n\n{FILE}\n  \n\n", FILE, "raw"),
    "a file with Windows newlines": Case("write", FILE.replace("\n", "\r\n"), FILE, "raw"),
    "a file with old Macintosh newlines": Case("write", FILE.replace("\n", "\r"), FILE, "raw"),
    "a file behind a byte order mark": Case("write", f"\ufeff{FILE}", FILE, "raw"),
    "a file before the token of a chat template": Case("write", f"{FILE}<|im_end|>\n<|im_start|>user", FILE, "raw"),
    "a file before the end of a sequence": Case("write", f"{FILE}</s>", FILE, "raw"),
    "a file in the channel of answers": Case(
        "write", f"<|channel|>analysis<|message|>Hm.<|end|><|channel|>final<|message|>{FILE}<|return|>", FILE, "raw"
    ),
    "a file that is cut off": Case("write", FILE[:-20], f"{FILE[:-20].rstrip()}\n", "raw"),
    "a file behind a space": Case("write", f" {FILE}", FILE, "raw"),
    "a middle behind a space": Case(
        "infill", f" def helper():\n    return 1\n\n\n{MIDDLE}", f"def helper():\n    return 1\n\n\n{MIDDLE}", "raw"
    ),
    "a schedule": Case("convert", SCHEDULE, SCHEDULE, "raw"),
    "a middle": Case("infill", MIDDLE, MIDDLE, "raw"),
    "a middle that is indented": Case("infill", indented(MIDDLE), MIDDLE, "raw"),
    "a file with a fence in its docstring": Case(
        "write",
        FILE.replace("\nThe l", f"\n{fenced(USAGE)}\nThe l"),
        FILE.replace("\nThe l", f"\n{fenced(USAGE)}\nThe l"),
        "raw",
    ),
    "a file that names the tags": Case("write", f"# <nn> <think>\n{FILE}", f"# <nn> <think>\n{FILE}", "raw"),
    # Fences.
    "a fence of python": Case("write", fenced(FILE), FILE, "fence"),
    "a fence of py": Case("write", fenced(FILE, "py"), FILE, "fence"),
    "a fence of Python": Case("write", fenced(FILE, "Python"), FILE, "fence"),
    "a fence with attributes": Case("write", fenced(FILE, "python title=model.py"), FILE, "fence"),
    "a fence with attributes in braces": Case("write", fenced(FILE, "{.python}"), FILE, "fence"),
    "a fence without a language": Case("write", fenced(FILE, ""), FILE, "fence"),
    "a fence of another language": Case("write", fenced(FILE, "text"), FILE, "fence"),
    "a fence of tildes": Case("write", fenced(FILE, "", "~~~"), FILE, "fence"),
    "a fence of tildes with a language": Case("write", fenced(FILE, "python", "~~~"), FILE, "fence"),
    "a fence of tildes without its end": Case("write", f"~~~python\n{FILE}", FILE, "fence"),
    "a longer fence": Case("write", fenced(FILE, "python", "`````"), FILE, "fence"),
    "a fence with Windows newlines": Case("write", fenced(FILE).replace("\n", "\r\n"), FILE, "fence"),
    "a fence without its end": Case("write", f"```python\n{FILE}", FILE, "fence"),
    "a fence that is cut off": Case("write", f"```python\n{FILE[:-20]}", f"{FILE[:-20].rstrip()}\n", "fence"),
    "a fence without its end, then prose": Case("write", f"```python\n{FILE}\nThis file trains it.", FILE, "fence"),
    "a fence that ends behind its code": Case("write", f"```python\n{FILE.rstrip()}```", FILE, "fence"),
    "a fence behind a colon": Case("write", f"Here it is: ```python\n{FILE}```", FILE, "fence"),
    "a fence in a list": Case("write", f"1. The file:\n\n{indented(fenced(FILE), '   ')}", FILE, "fence"),
    "a fence in a bullet": Case("write", f"- ```python\n{indented(FILE, '  ')}  ```\n", FILE, "fence"),
    "a fence within a fence of Markdown": Case("write", fenced(fenced(FILE), "markdown", "````"), FILE, "fence"),
    "a fence within an answer of Markdown": Case(
        "write", fenced(f"## Answer\n\n{fenced(FILE)}\nIt decays.\n", "markdown", "````"), FILE, "fence"
    ),
    "a fence around an example in a method": Case("write", f"Here:\n{fenced(DOCUMENTED)}", DOCUMENTED, "fence"),
    "a fence within a fence as long": Case("write", fenced(fenced(FILE), "markdown"), FILE, "fence"),
    "a fence within a fence without a language": Case("write", fenced(fenced(FILE), "", "````"), FILE, "fence"),
    "prose around a fence": Case("write", f"Sure!\n\n{fenced(FILE)}\nThis trains ResNet-20.", FILE, "fence"),
    "a fence of a middle": Case("infill", f"Replace the TODO:\n{fenced(MIDDLE)}", MIDDLE, "fence"),
    "a fence of an indented middle": Case("infill", fenced(indented(MIDDLE)), MIDDLE, "fence"),
    "a fence of a schedule": Case("convert", f"{fenced(SCHEDULE)}\nThe rates are equal.", SCHEDULE, "fence"),
    "a fence with the name of a file": Case("write", fenced(FILE, "python:model.py"), FILE, "fence"),
    "a fence whose beginning is in the prompt": Case("write", f"{FILE}```\n\nIt decays.", FILE, "prose"),
    "a fence whose beginning is in the prompt, then another": Case(
        "write", f"{FILE}```\nUse it:\n{fenced(USAGE)}", FILE, "prose"
    ),
    # Several fences.
    "an example of use behind": Case("write", f"{fenced(FILE)}\nUse it:\n\n{fenced(USAGE)}", FILE, "fence"),
    "an example of use before": Case("infill", f"For\n{fenced(USAGE)}write\n{fenced(MIDDLE)}", MIDDLE, "fence"),
    "a command behind": Case("write", f"{fenced(FILE)}\nRun it:\n{fenced('python model.py', 'bash')}", FILE, "fence"),
    "an output behind": Case("convert", f"{fenced(SCHEDULE)}\n{fenced('0.1 0.01', '')}", SCHEDULE, "fence"),
    "a sketch before": Case("write", f"{fenced(STUB)}\nIn full:\n{fenced(FILE)}", FILE, "fence"),
    "a sketch behind": Case("write", f"{fenced(FILE)}\nIts interface:\n{fenced(STUB)}", FILE, "fence"),
    "a sketch of empty definitions behind": Case(
        "write", f"{fenced(FILE)}\nIts interface:\n{fenced(EMPTY)}", FILE, "fence"
    ),
    "the schedule alone behind the file": Case(
        "convert", f"{fenced(FILE)}\nIts part:\n{fenced(SCHEDULE)}", FILE, "fence"
    ),
    "the function alone behind": Case("write", f"{fenced(FILE)}\nThe schedule:\n{fenced(SCHEDULE)}", FILE, "fence"),
    "the function with omissions behind": Case(
        "convert",
        f"{fenced(SCHEDULE)}\n{fenced('def make_scheduler(optimizer):' + chr(10) + '    # ...' + chr(10))}",
        SCHEDULE,
        "fence",
    ),
    "a draft before": Case("write", f"{fenced(OTHER_FILE)}\nThat is wrong. Instead:\n{fenced(FILE)}", FILE, "fence"),
    "the question before": Case("edit", f"Your file:\n{fenced(OTHER_FILE)}\nNow:\n{fenced(FILE)}", FILE, "fence"),
    "the question before, unclosed": Case("edit", f"```python\n{OTHER_FILE}\n```python\n{FILE}```", FILE, "fence"),
    "the question before the middle": Case("infill", f"{fenced(INCOMPLETE)}\n{fenced(MIDDLE)}", MIDDLE, "fence"),
    "the question before the schedule": Case(
        "convert", f"{fenced(OTHER_SCHEDULE)}{fenced(SCHEDULE)}", SCHEDULE, "fence"
    ),
    "the question before a diff": Case("repair", f"{fenced(FILE)}\nPatch:\n{fenced(DIFF, 'diff')}", DIFF, "fence"),
    "the question before a raw file": Case("edit", f"{fenced(OTHER_FILE)}\nNow:\n\n{FILE}", FILE, "prose"),
    "the question in a quotation": Case(
        "edit", f"{re.sub('^', '> ', OTHER_FILE, flags=re.MULTILINE)}\n\n{FILE}", FILE, "prose"
    ),
    # Tags.
    "tags": Case("write", f"<nn>\n{FILE}</nn>", FILE, "tag"),
    "tags in one line with the code": Case("infill", f"<nn>{MIDDLE}</nn>", MIDDLE, "tag"),
    "tags in upper case": Case("write", f"<NN>\n{FILE}</NN>", FILE, "tag"),
    "tags without their end": Case("write", f"Here:\n<nn>\n{FILE}", FILE, "tag"),
    "tags around a fence": Case("write", f"<nn>\n{fenced(FILE)}</nn>", FILE, "tag"),
    "a fence around tags": Case("write", fenced(f"<nn>\n{FILE}</nn>\n"), FILE, "tag"),
    "tags before a fence": Case("convert", f"<nn>{SCHEDULE}</nn>\n{fenced(OTHER_SCHEDULE)}", SCHEDULE, "tag"),
    "tags twice": Case("convert", f"<nn>{OTHER_SCHEDULE}</nn> or <nn>{SCHEDULE}</nn>", SCHEDULE, "tag"),
    "tags around a name, then a fence": Case("write", f"<nn>ResNet</nn>\n{fenced(FILE)}", FILE, "fence"),
    "tags named in a sentence": Case("write", f"I put it in <nn></nn>:\n{fenced(FILE)}", FILE, "fence"),
    "tags of answers": Case("write", f"<think>Hm.</think>\n<answer>\n{FILE}</answer>", FILE, "tag"),
    "tags within tags": Case("write", f"<answer><nn>{FILE}</nn></answer>", FILE, "tag"),
    # Reasoning.
    "reasoning before": Case("write", f"<think>\n{fenced(OTHER_FILE)}</think>\n\n{fenced(FILE)}", FILE, "fence"),
    "reasoning before a raw file": Case("write", f"<think>Hm.</think>\n{FILE}", FILE, "raw"),
    "reasoning whose beginning is in the prompt": Case(
        "infill", f"Hm.\n{fenced(SCHEDULE)}</think>\n{MIDDLE}", MIDDLE, "raw"
    ),
    "reasoning under another name": Case(
        "convert", f"<thinking>{USAGE}</thinking>{fenced(SCHEDULE)}", SCHEDULE, "fence"
    ),
    "reasoning twice": Case("convert", f"<think>a</think>{fenced(SCHEDULE)}<think>b</think>Done.", SCHEDULE, "fence"),
    "reasoning that ends twice": Case("convert", f"{fenced(SCHEDULE)}<think>a</think>b</think>Done.", None),
    "reasoning without an answer": Case("write", f"<think>\n{fenced(FILE)}", None),
    # Prose.
    "a file between sentences": Case("write", f"Here is the module:\n\n{FILE}\nIt trains ResNet-20.", FILE, "prose"),
    "a schedule between sentences": Case("convert", f"I would write\n{SCHEDULE}\nfor this.", SCHEDULE, "prose"),
    "a middle in a code block of Markdown": Case("infill", f"Add this:\n\n{indented(MIDDLE)}\nDone.", MIDDLE, "prose"),
    "a file beside a fenced example": Case("write", f"Here:\n\n{FILE}\nUse:\n{fenced(USAGE)}", FILE, "prose"),
    "a string without its end before": Case("convert", f's = """\n\nThen this:\n\n{SCHEDULE}', SCHEDULE, "prose"),
    "quotes in a comment before": Case("write", f'# A """ here.\n\nThen this:\n\n{FILE}', FILE, "prose"),
    "a sentence directly behind a file": Case("write", f"{FILE}This trains ResNet-20.", FILE, "prose"),
    "words": Case("write", "I cannot write this file, because no network was named.", None),
    "one word": Case("write", "Sure", None),
    "an empty completion": Case("write", "", None),
    "blank lines": Case("convert", " \n\t\n", None),
    # Attempts.
    "code that defines nothing asked for": Case("write", USAGE, USAGE, "raw"),
    "a fence that defines nothing asked for": Case("write", f"Try:\n{fenced(USAGE)}", USAGE, "fence"),
    "tags around words": Case("write", "<nn>ResNet</nn>", "ResNet\n", "tag"),
    "a command alone": Case("write", fenced("pip install torch\n", "bash"), None),
    "a wrong file in a fence": Case(
        "write", fenced(FILE.replace("super()", "super(")), FILE.replace("super()", "super("), "fence"
    ),
    # A repeated file in task infill.
    "the whole file": Case("infill", FILE, REPEATED, "raw"),
    "the whole file in a fence": Case("infill", fenced(FILE), REPEATED, "fence"),
    "the whole file with a value elsewhere": Case(
        "infill",
        FILE.replace("3)\n", "THIRDS)\n").replace("\n\ndef sup", "\nTHIRDS = 3\n\n\ndef sup"),
        FILE.replace("3)\n", "THIRDS)\n").replace("\n\ndef sup", "\nTHIRDS = 3\n\n\ndef sup"),
        "raw",
    ),
    "the file up to the function, then omissions": Case("infill", fenced(ELIDED), f"{BEGUN}\n", "fence"),
    "a file with two functions": Case("infill", OVERRIDDEN, OVERRIDDEN, "raw"),
    "a file with a line separator": Case("infill", SEPARATED, SEPARATED, "raw"),
    "a file that imports all names": Case("infill", STARRED, STARRED, "raw"),
    "two files": Case("infill", f"{FILE}\n\n{FILE}", f"{FILE}\n\n{FILE}", "raw"),
    # Diffs.
    "a diff": Case("edit", DIFF, DIFF, "raw"),
    "a diff behind a space": Case("edit", f" {DIFF}", DIFF, "raw"),
    "a diff of git": Case("edit", f"diff --git a/model.py b/model.py\nindex 1..2 100644\n{DIFF}", DIFF, "raw"),
    "a diff in a fence": Case("repair", f"The fix:\n\n{fenced(DIFF, 'diff')}\nDone.", DIFF, "fence"),
    "a diff of git in a fence": Case(
        "repair", fenced(f"diff --git a/m b/m\nindex 1..2\n{DIFF}", "diff"), DIFF, "fence"
    ),
    "a diff in a fence without a language": Case("edit", fenced(DIFF, ""), DIFF, "fence"),
    "a diff in tags": Case("edit", f"<nn>\n{DIFF}</nn>", DIFF, "tag"),
    "a diff in a list": Case("edit", f"1. Apply\n{indented(fenced(DIFF, 'patch'))}", DIFF, "fence"),
    "a diff between sentences": Case("edit", f"Apply this:\n\n{DIFF}\nThen train.", DIFF, "prose"),
    "a diff with Windows newlines": Case("edit", DIFF.replace("\n", "\r\n"), DIFF, "raw"),
    "a diff of a file without a last newline": Case("edit", f"{DIFF}\\ No newline at end of file\n", DIFF, "raw"),
    "a diff without its last blank line": Case("edit", DIFF_WITH_BLANK.strip(), DIFF_WITH_BLANK, "raw"),
    "a diff with empty lines of context": Case("edit", re.sub("(?m)^ $", "", DIFF), DIFF, "raw"),
    "a diff before a command": Case("edit", f"{fenced(DIFF, 'diff')}{fenced('git apply', 'bash')}", DIFF, "fence"),
    "a whole file in place of a diff": Case("repair", fenced(FILE), FILE, "fence"),
    # JSON.
    "an object": Case("prompts", OBJECT, OBJECT, "raw"),
    "an object in a fence of json": Case("prompts", fenced(f"{OBJECT}\n", "json"), OBJECT, "fence"),
    "an object in tags": Case("prompts", f"<nn>{OBJECT}</nn>", OBJECT, "tag"),
    "an object in a sentence": Case("prompts", f"It is {OBJECT}, I think {{so}}.", OBJECT, "prose"),
    "an object behind reasoning": Case("prompts", f'<think>{{"model": null}}</think>{OBJECT}', OBJECT, "raw"),
    "an object in a box": Case("prompts", f"\\boxed{{{OBJECT}}}", OBJECT, "prose"),
    "an object behind the text of the question": Case(
        "prompts", f'The text {{"model": "VGG", "learning_rate": "1", "batch": 8}} says {OBJECT}', OBJECT, "prose"
    ),
    "an object before the text of the question": Case(
        "prompts", f'{OBJECT} of {{"model": "VGG", "learning_rate": "1", "batch": 8}}', OBJECT, "prose"
    ),
    "an object in tags before another": Case(
        "prompts", f"<nn>{OBJECT}</nn> not {OBJECT.replace('18', '34')}", OBJECT, "tag"
    ),
    "no object": Case("prompts", "ResNet18 with 0.01", None),
    "an object that is not JSON": Case("prompts", "{model: ResNet18}", None),
    # Words and numbers.
    "a verdict": Case("feedback", "correct", "correct\n", "raw"),
    "a verdict in a fence": Case("feedback", fenced("incorrect\n", "text"), "incorrect\n", "fence"),
    "a verdict behind reasoning": Case("feedback", "<think>wrong?</think>\nCorrect.", "Correct.\n", "raw"),
    "a verdict behind a label": Case("feedback", "The rate decays.\n\n**Verdict:** incorrect", "incorrect\n", "prose"),
    "a verdict in a box": Case("feedback", "So \\boxed{\\text{correct}}", "correct\n", "prose"),
    "a verdict before a fence": Case("feedback", f"Incorrect:\n{fenced(USAGE)}", "Incorrect:\n", "prose"),
    "a judgement": Case("judge", JUDGEMENT, f"{JUDGEMENT}\n", "raw"),
    "a judgement behind a label": Case("judge", f"**Verdict:** {JUDGEMENT}", f"{JUDGEMENT}\n", "prose"),
    "a judgement behind its line": Case(
        "judge", "See line 7.\nVerdict: incorrect", "incorrect\nSee line 7.\n", "prose"
    ),
    "a judgement before the quoted file": Case("judge", f"{JUDGEMENT}\n{fenced(FILE)}", f"{JUDGEMENT}\n", "prose"),
    "learning rates": Case("trace", RATES, RATES, "raw"),
    "learning rates in a table": Case("trace", TABLE, TABLE, "raw"),
    "learning rates in a fence": Case("trace", f"They are:\n{fenced(RATES, '')}", f"They are:\n{RATES}", "prose"),
    "learning rates alone in a fence": Case("trace", fenced(RATES, ""), RATES, "fence"),
    "learning rates in JSON": Case("trace", f"{{\n{ENTRIES}}}\nSo\n{{\n{ENTRIES}}}\n", ENTRIES, "prose"),
    "learning rates in tags": Case("trace", f"First <nn>{RATES}</nn>", RATES, "tag"),
    "a verdict in tags": Case("feedback", "<think>no</think><answer>correct</answer>", "correct\n", "tag"),
    "learning rates behind the code": Case("trace", f"{fenced(SCHEDULE)}\n{RATES}", RATES, "prose"),
    "learning rates in summary": Case(
        "trace", f"Step 0: 0.1\nthen\nStep 30: 0.01\nand\nStep 60: 0.001\nSo\n\n{RATES}", RATES, "prose"
    ),
    "learning rates in summary of many": Case(
        "trace", f"0: 0.1\n15: 0.1\n30: 0.01\n60: 0.001\nSo\n{RATES}", RATES, "prose"
    ),
    "learning rates twice": Case("trace", f"{RATES}{RATES}", f"{RATES}{RATES}", "raw"),
    "learning rates one by one": Case("trace", "0: 0.1\nthen\n30: 0.01", "0: 0.1\nthen\n30: 0.01\n", "raw"),
    "an explanation": Case("explain", "It is step decay.", "It is step decay.\n", "raw"),
    "an explanation in a fence": Case("explain", fenced("It decays.\n", "markdown"), "It decays.\n", "fence"),
    "an explanation of quoted code": Case("explain", f"{fenced(FILE)}\nIt decays.", "It decays.\n", "prose"),
    "quoted code alone": Case("explain", fenced(FILE), None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_answer_in_a_completion(case):
    """The answer is the code, the diff, the object or the text that a reader takes for it."""
    expected = None if case.answer is None else Answer(case.answer, case.form)
    assert answer_of(case.task, case.completion) == expected


def test_there_are_many_pairs():
    """At least sixty honest completions have an answer."""
    assert sum(case.answer is not None for case in CASES.values()) >= 60


# Any text.

NAMES = [task.NAME for task in TASKS]
FRAGMENTS = st.sampled_from(
    (
        *("```", "```python\n", "~~~", "\n", "\r\n", "<nn>", "</nn>", "<think>", "</think>", "{", "}", '"', '"""'),
        *("--- a\n", "+++ b\n", "@@ -1,2 +1,2 @@\n", "@@ -1 +1 @@\n", " ", "    ", "\t", ":", "- ", "> ", "# ...\n"),
        *("def make_scheduler(x):\n    return 1\n", "class Net:\n", "    x = 1\n", "import torch\n", "Sure. ", "</s>"),
        *("def supported_hyperparameters():\n    return {'lr'}\n", "\0", "\ud800", "\x0c", "\u2028", "\ufeff"),
        *("5: 0.1\n", "correct", "Answer: ", OBJECT, FILE, MIDDLE, DIFF),
    )
)
TEXTS = st.one_of(st.text(), st.lists(FRAGMENTS, max_size=30).map("".join))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), TEXTS)
def test_every_text_has_the_same_answer_twice_or_none(task, text):
    """No text raises, equal texts have equal answers, and an answer is neither blank nor longer than its text."""
    answer = answer_of(task, text)
    assert answer == answer_of(task, text)
    if answer is not None:
        assert answer.text.strip()
        assert answer.form in ("raw", "fence", "tag", "prose")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["write", "infill", "convert", "edit", "repair", "prefer"]),
    st.lists(FRAGMENTS, max_size=6).map("".join),
    st.sampled_from([FILE, SCHEDULE, MIDDLE, DIFF, f"{FILE}\n{USAGE}"]),
    st.sampled_from(["", "python", "py", "diff"]),
    st.sampled_from("`~"),
)
def test_a_fence_does_not_change_the_answer(task, comment, code, info, sign):
    """Code has the same answer raw and in a fence that is longer than each fence in it, whatever its comments are."""
    valid = comment.translate({0: None, 0xD800: None})  # characters that Python does not read
    comments = "".join(f"# {line}\n" for line in re.split(r"[\n\r]", valid))
    text = code if code == DIFF else f"{comments}{code}"
    raw = answer_of(task, text)
    mark = sign * (3 + max(map(len, re.findall("`+|~+", text)), default=0))
    within = answer_of(task, f"{mark}{info}\n{text}{mark}")
    if raw is not None and raw.form == "raw":
        assert within == Answer(raw.text, "fence")


HOSTILE = (
    *(
        "`",
        "```\n",
        "```python\n",
        "~~~\n",
        "~",
        "<nn>",
        "</nn>",
        "<think>",
        "</think>",
        "{",
        '{"a":',
        '{"model"}',
        "{}",
    ),
    *("\n", "\t\n", '"""', "'''", '"""\n', "(", "--- a\n+++ b\n@@ -1 +1 @@\n", "class Net:\n", "if x:\n", "if x:\n "),
    *("5: 0.1\n", "answer: ", "\\boxed{", "\0", "\ud800", "x = [", "a[", "def make_scheduler(", "</s>"),
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("task", ["infill", "edit", "prompts", "feedback", "judge", "trace"])
def test_a_repeated_text_is_read(task, text):
    """Each of these texts, repeated up to 20,000 characters, is read without an error."""
    answer = answer_of(task, text * (20_000 // len(text)))
    assert answer is None or answer.text


@pytest.mark.parametrize("text", ["`", "<nn>", "{", "'''", "[", "\n```"])
def test_a_long_text_is_read(text):
    """One of these texts repeated up to 1 MB is read; the work of a quadratic reader would take hours."""
    for task in ("edit", "prompts"):
        answer = answer_of(task, text * (1_000_000 // len(text)))
        assert answer is None or answer.text


@pytest.mark.parametrize("number", [1, 33, 37, 174, 177])
def test_a_repeated_file_of_task_infill_gives_its_middle(number):
    """The middle of a rendered file stands below the imports that it uses, and nothing else of the file is kept."""
    source = corpus.source(number)
    parts = sections.parse(source)
    answer = answer_of("infill", fenced(source))
    imports, middle = answer.text.removesuffix(parts.middle), parts.middle
    assert answer.text.endswith(middle)
    assert {line.split()[0] for line in imports.split("\n") if line} <= {"from", "import"}
    compile(sections.complete(parts.incomplete, answer.text), "model.py", "exec")


@pytest.mark.parametrize("number", [1, 33, 37, 174, 177])
def test_the_answers_of_a_dataset_are_themselves(number):
    """A rendered file, its schedule, its middle and a diff to it are their own answers, raw and in a fence."""
    source = corpus.source(number)
    parts = sections.parse(source)
    completions = [("write", source), ("convert", parts.standalone), ("infill", parts.middle)]
    completions += [("repair", diffs.unified(corpus.source(2), source)), ("edit", source)]
    for task, completion in completions:
        assert answer_of(task, completion) == Answer(completion, "raw")
        assert answer_of(task, f"Here it is:\n\n{fenced(completion)}") == Answer(completion, "fence")


@pytest.mark.parametrize("counts", ["-1,3 +1,3", "-1,3 +1,4", "-1,5 +1,5", "-1,4 +1,5", "-1,9 +1,9"])
def test_a_diff_with_wrong_counts_is_not_mended(counts):
    """A diff whose counts are wrong does not become applicable."""
    diff = DIFF.replace("-1,4 +1,4", counts)
    assert diff != DIFF
    for completion in (diff, fenced(diff, "diff"), f"Apply\n\n{diff}\nDone."):
        with pytest.raises(DatasetError):
            diffs.apply(answer_of("edit", completion).text, FILE)
