"""The whole story in a real browser, on whatever serves: from signing up to a board that moves."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.web.board import PASSWORD

SECONDS = 60_000  # milliseconds that anything may take on a busy machine
expect.set_options(timeout=SECONDS)
PAGES = (
    "/",
    "/problems",
    "/problems/iris",
    "/login",
    "/sign-up",
    "/reset",
    "/privacy",
    "/programs",
    "/nowhere",
    "/profile",
    "/events/iris",
    "/events/iris/sandbox",
    "/events/iris/mine",
    "/events/iris/leaderboard",
    "/events/iris/leaderboard/competition",
    "/events/iris/plots",
    "/submissions/ID",
    "/submissions/ID/diff/ID",
    "/teams/tansy",
    "/admin",
    "/admin/users",
    "/admin/users/tansy",
    "/admin/sign-ups",
    "/admin/events/iris",
    "/admin/events/iris/submissions",
    "/admin/queue",
    "/admin/interactions",
)


def tell(chromium: Browser, address: str, has_scripts: bool) -> None:
    """The story of tansy, whom root lets in; whoever is called so must not be there yet.

    The site has the admin root and the event of the kit iris, and trains.
    """
    tansy, root = (Person(chromium, address, has_scripts) for _ in range(2))
    sign_up_and_join(tansy, root)
    submission = submit(tansy, "first", has_scripts)
    if has_scripts:
        check_that_it_is_reached_without_loading(tansy)
    watch_the_board(tansy, root, has_scripts)
    if has_scripts:
        check_every_page(tansy, root, submission)
    wrong = tansy.wrong + root.wrong
    assert not wrong, "\n".join(wrong)


class Person:
    """Somebody with a browser; what a page complains of, or asks of other sites, is noted."""

    def __init__(self, chromium: Browser, address: str, has_scripts: bool = True) -> None:
        self.address, self.wrong = address, []
        context = chromium.new_context(base_url=address, java_script_enabled=has_scripts)
        context.set_default_timeout(SECONDS)
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("request", lambda asked: self._look(asked.url))

    wrong: list[str]

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "404" not in text:
            self.wrong.append(text)

    def _look(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(f"asks {url}")

    def log_in(self, name: str) -> None:
        self.page.goto("/login")
        self.page.get_by_label("User name or mail address").fill(name)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("link", name=name, exact=True)).to_be_visible()


def sign_up_and_join(tansy: Person, root: Person) -> None:
    page = tansy.page
    page.goto("/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("User name").fill("tansy")
    page.get_by_label("Mail address").fill("tansy@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("Your account waits for an admin")).to_be_visible()
    root.log_in("root")
    root.page.goto("/admin/users")
    root.page.get_by_label("Choose tansy").check()
    root.page.get_by_role("button", name="Let those in").click()
    expect(root.page.get_by_text("1 user approved.")).to_be_visible()
    page.goto("/events/iris")
    page.get_by_role("button", name="Ask to take part").click()
    expect(page.get_by_text("The team tansy has asked; an admin will answer.")).to_be_visible()
    root.page.goto("/admin/sign-ups")
    root.page.get_by_label("Choose tansy for Which iris is it?").check()
    root.page.get_by_role("button", name="Sign up those").click()
    expect(root.page.get_by_text("1 team signed up.")).to_be_visible()


def submit(tansy: Person, name: str, has_scripts: bool) -> str:
    """Returns the id of the submission."""
    page = tansy.page
    page.goto("/events/iris")
    page.get_by_role("link", name="Work on a submission").click()
    area = page.locator("textarea").first
    assert "LogisticRegression" in area.input_value()
    area.press("Control+End")
    area.press_sequentially("# mine\n")
    if has_scripts:
        expect(page.locator(".editor .c", has_text="# mine").last).to_be_visible()
    page.get_by_label("Name of the submission").fill(name)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text(f"{name} is submitted, and waits to be trained.")).to_be_visible()
    page.get_by_role("link", name=name).click()
    page.wait_for_url("**/submissions/*")
    return page.url.rpartition("/")[2]


def check_that_it_is_reached_without_loading(tansy: Person) -> None:
    tansy.page.evaluate("window.isSame = true")
    expect(tansy.page.locator(".state.scored")).to_be_visible()
    expect(tansy.page.get_by_role("heading", name="Scores")).to_be_visible()
    assert tansy.page.evaluate("window.isSame")


def watch_the_board(tansy: Person, root: Person, has_scripts: bool) -> None:
    board = "/events/iris/leaderboard"
    tansy.page.goto(board)
    row = tansy.page.get_by_role("row").filter(has_text="first")
    if not has_scripts:
        for _ in range(200):
            if row.count():
                break
            tansy.page.wait_for_timeout(300)
            tansy.page.reload()
    expect(row).to_be_visible()
    if has_scripts:
        expect(row).to_have_class("own")
    root.page.goto("/admin/events/iris/submissions")
    root.page.get_by_label("Choose tansy: first").check()
    root.page.get_by_label("With those that are ticked").select_option("withdraw")
    root.page.get_by_role("button", name="Do it").click()
    expect(root.page.get_by_text("1 submission withdrawn.")).to_be_visible()
    if not has_scripts:
        tansy.page.reload()
    expect(row).to_have_count(0)
    root.page.get_by_label("Choose tansy: first").check()
    root.page.get_by_label("With those that are ticked").select_option("train again")
    root.page.get_by_role("button", name="Do it").click()
    expect(root.page.get_by_text("1 submission put back into the queue.")).to_be_visible()


def check_every_page(tansy: Person, root: Person, submission: str) -> None:
    """No violation of WCAG 2 AA, nothing wider than a phone, in both colours."""
    tansy.page.goto(f"/submissions/{submission}")
    expect(tansy.page.locator(".state.scored")).to_be_visible()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = []
    for path in (page.replace("ID", submission) for page in PAGES):
        page = (root if path.startswith("/admin") else tansy).page
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours, reduced_motion="reduce")
            page.set_viewport_size({"width": 390, "height": 800})
            page.goto(path)
            wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            results = Axe().run(page, options=rules).response
            assert results["passes"], path
            found += [
                f"{path} {colours}: {each['id']} {each['nodes'][0]['html']}"
                for each in results["violations"]
            ]
            found += [f"{path} is wider than a phone"] if wide else []
    assert not found, "\n".join(found)
