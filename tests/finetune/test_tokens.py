"""Token counts of texts."""

import inspect

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lrgen.finetune import build, tokens
from lrgen.finetune.tokens import DEFAULT, TokenCounter

ALPHABET = st.sampled_from(" \n\t\r\f'sdtlrevm059azAZ_()=*.,:\"#é¼²λ…😀\u00a0\u2028\x1c")


@given(st.lists(st.text(ALPHABET | st.characters(codec="utf-8"), max_size=40), max_size=6))
def test_texts_have_the_tokens_of_the_tokenizer(texts):
    """Texts that are counted by their pieces have as many tokens as the tokenizer finds in them as a whole."""
    whole = Tokenizer.from_file(str(DEFAULT)).encode_batch(texts, add_special_tokens=False)
    assert TokenCounter().count(texts) == [len(encoding.ids) for encoding in whole]


def test_code_has_the_tokens_of_the_tokenizer():
    """Modules have as many tokens as the tokenizer finds in them, also when their lines are known already."""
    texts = [inspect.getsource(module) for module in (tokens, build)]
    whole = Tokenizer.from_file(str(DEFAULT)).encode_batch(texts, add_special_tokens=False)
    counter = TokenCounter()
    assert counter.count(texts) == counter.count(texts) == [len(encoding.ids) for encoding in whole]
