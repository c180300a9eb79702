// What changes on its own is loaded again: the elements with data-live, every few seconds, while
// somebody looks. Without scripts the pages are the same, and as new as when they were loaded.

const SECONDS = 5;

function mark(element) {
  const team = element.dataset.team;
  for (const row of element.querySelectorAll("tr[data-team]")) {
    row.classList.toggle("own", row.dataset.team === team);
  }
}

async function renew(elements, known) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return known;
  const text = await answer.text();
  if (text === known) return known;
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelectorAll("[data-live]");
  elements.forEach((element, index) => {
    const other = fresh[index];
    if (!other || other.innerHTML === element.dataset.was) return;
    element.dataset.was = other.innerHTML;
    const box = element.querySelector(".scroll");
    const place = box && [box.scrollLeft, box.scrollTop];
    element.innerHTML = other.innerHTML;
    const again = element.querySelector(".scroll");
    if (place && again) [again.scrollLeft, again.scrollTop] = place;
    mark(element);
    element.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
  });
  return text;
}

const live = [...document.querySelectorAll("[data-live]")];
if (live.length) {
  for (const element of live) {
    element.dataset.was = element.innerHTML;
    mark(element);
  }
  let known = "";
  let isBusy = false;
  setInterval(async () => {
    if (document.hidden || isBusy || live.some((each) => each.contains(document.activeElement))) return;
    isBusy = true;
    try {
      known = await renew(live, known);
    } catch {
      // the site is away: the next time
    } finally {
      isBusy = false;
    }
  }, SECONDS * 1000);
}
