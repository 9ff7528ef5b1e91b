"use strict";
// The browser of samples: filters, pages of 50, and answers that are made when they are opened. All of it is text.
(() => {
  const [RUN, TASK, CHECK, PASSED, DIFFERS, ROW, SAMPLE, REWARD, ABOUT, REASON, ANSWER] = Array(11).keys();
  const SIZE = 50;
  const at = (id) => document.getElementById(id);
  const data = JSON.parse(at("data").textContent);
  const controls = ["run", "task", "check", "result"].map((name) => at(`by-${name}`));
  const [byRun, byTask, byCheck, byResult] = controls;
  let matches = data.samples;
  let page = 0;

  const element = (tag, text, name = "") => {
    const made = document.createElement(tag);
    made.textContent = text;
    made.className = name;
    return made;
  };

  const answer = (sample) => {
    const details = element("details", "");
    details.append(element("summary", sample[ANSWER] ? "answer" : "no answer"));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) {
        const text = element("pre", sample[ANSWER]);
        text.tabIndex = 0;
        details.append(element("span", sample[ABOUT], "about"), text);
      }
    });
    return details;
  };

  const row = (sample) => {
    const line = document.createElement("tr");
    const id = element("th", `${sample[ROW]} `, "id");
    id.scope = "row";
    id.append(element("small", `#${sample[SAMPLE]}`));
    const reason = element("td", sample[REASON], "reason");
    reason.append(answer(sample));
    line.append(
      id,
      element("td", data.runs[sample[RUN]]),
      element("td", data.tasks[sample[TASK]]),
      element("td", data.checks[sample[CHECK]]),
      element("td", sample[REWARD].toFixed(3), "number"),
      element("td", sample[PASSED] ? "passed" : "failed", sample[PASSED] ? "" : "marked"),
      reason,
    );
    return line;
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(matches.length / SIZE));
    page = Math.min(Math.max(page, 0), pages - 1);
    at("lines").replaceChildren(...matches.slice(page * SIZE, (page + 1) * SIZE).map(row));
    const count = (number) => number.toLocaleString("en");
    at("count").textContent =
      `${count(matches.length)} of ${count(data.samples.length)} samples, page ${count(page + 1)} of ${count(pages)}`;
    at("previous").disabled = page === 0;
    at("next").disabled = page === pages - 1;
  };

  const filter = () => {
    const chosen = [[byRun, RUN], [byTask, TASK], [byCheck, CHECK], [byResult, PASSED]]
      .filter(([control]) => control.value !== "")
      .map(([control, place]) => [place, Number(control.value)]);
    const words = at("by-text").value.toLowerCase();
    const differing = at("by-difference").checked;
    matches = data.samples.filter(
      (sample) =>
        chosen.every(([place, value]) => sample[place] === value) &&
        (!differing || sample[DIFFERS]) &&
        (!words || sample[ROW].toLowerCase().includes(words) || sample[REASON].toLowerCase().includes(words)),
    );
    page = 0;
    show();
  };

  const turn = (pages) => () => {
    page += pages;
    show();
  };

  [...controls, at("by-difference")].forEach((control) => control.addEventListener("change", filter));
  at("by-text").addEventListener("input", filter);
  at("previous").addEventListener("click", turn(-1));
  at("next").addEventListener("click", turn(1));
  at("browser").hidden = false;
  filter();
})();
