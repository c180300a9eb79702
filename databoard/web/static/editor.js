// The sandbox: colours under what is typed, Tab for four spaces, and a warning before it is lost.
// Without scripts the same form is a plain one.

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally " +
    "for from global if import in is lambda nonlocal not or pass raise return try while with yield").split(" "),
);
const TOKENS =
  /(#[^\n]*)|([rRbBuUfF]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|(@[\w.]+)|(\b\d[\w.]*)|([A-Za-z_]\w*)/g;

function classOf(match, before) {
  const [, comment, string, decorator, number, word] = match;
  if (comment) return "c";
  if (string) return "s";
  if (decorator) return "nd";
  if (number) return "m";
  if (KEYWORDS.has(word)) return "k";
  return /\b(?:def|class)\s+$/.test(before) ? "nf" : "";
}

function colour(pre, text) {
  const parts = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    const kind = classOf(match, text.slice(Math.max(0, match.index - 12), match.index));
    if (!kind) continue;
    parts.append(text.slice(end, match.index));
    const token = document.createElement("span");
    token.className = kind;
    token.textContent = match[0];
    parts.append(token);
    end = match.index + match[0].length;
  }
  parts.append(text.slice(end), "\n");
  pre.replaceChildren(parts);
}

function enhance(editor) {
  const area = editor.querySelector("textarea");
  const pre = document.createElement("pre");
  pre.setAttribute("aria-hidden", "true");
  editor.prepend(pre);
  editor.classList.add("coloured");
  const draw = () => colour(pre, area.value);
  const follow = () => {
    pre.scrollTop = area.scrollTop;
    pre.scrollLeft = area.scrollLeft;
  };
  let isLeaving = false; // after Escape, Tab leaves the field, for those who have no mouse
  area.addEventListener("input", () => (draw(), follow()));
  area.addEventListener("scroll", follow);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") isLeaving = true;
    else if (event.key === "Tab" && !event.shiftKey && !isLeaving) {
      event.preventDefault();
      area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
      area.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (event.key !== "Tab") isLeaving = false;
  });
  area.addEventListener("blur", () => (isLeaving = false));
  draw();
}

for (const editor of document.querySelectorAll(".editor[data-language=python]")) enhance(editor);

for (const form of document.querySelectorAll("form[data-unsaved]")) {
  let isChanged = false;
  form.addEventListener("input", () => (isChanged = true));
  form.addEventListener("submit", () => (isChanged = false));
  addEventListener("beforeunload", (event) => isChanged && event.preventDefault());
}
