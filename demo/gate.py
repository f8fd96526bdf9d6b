"""Who may enter where the host named accounts: by the page's login or by Basic authentication.

Gradio asks for a login on the page and on most of its API; here it is asked for on all of the
API, on MCP and on the numbers, and a program's Basic authentication is as good as a login. This
module knows no page: of Gradio it knows the cookie and the tokens of a login.
"""

from base64 import b64decode
from collections.abc import Sequence
from secrets import compare_digest, token_urlsafe

from gradio.route_utils import API_PREFIX
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Sent

from demo.faults import answer_in
from demo.forwarding import address_of
from demo.guesses import Guesses
from demo.messages import Message, Sentences
from demo.users import house_at

Accounts = Sequence[tuple[str, str]]
FREE = ("/startup-events", "/theme.css")  # of the API: `launch` and the login's page ask for them
ROUTES = ("/metrics", "/openapi.json", "/docs", "/redoc")  # beside the API
BAD_REQUEST, TOO_MANY = 400, 429  # Gradio's form for a login tells of the first only
SENTENCES: Sentences = {
    "spent": (
        "Too many wrong passwords from your network address. Please try again in a minute.",
        "来自您所在网络地址的错误密码过多。请一分钟后再试。",
    ),
}
PROGRAMS = (f"{API_PREFIX}/mcp", "/metrics")  # are told how to log in; a browser has its page


class Gate:
    """ASGI middleware: answers 401 to whoever has no account, 429 to who guesses at passwords."""

    def __init__(self, app: ASGIApp, accounts: Accounts, language: str = "") -> None:
        self.app, self._accounts, self._language = app, accounts, language
        self._tokens = {name: token_urlsafe() for name, _ in accounts}
        self._guesses = Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        inside = bool(login_of(scope))
        given = "" if inside else _basic(scope)
        login = scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login")
        house = house_at(address_of(scope))
        if (given or login) and self._guesses.are_spent(house):
            status = BAD_REQUEST if login else TOO_MANY
            told = Message(SENTENCES, "spent")
            await answer_in(told, status, scope, self._language)(scope, receive, send)
        elif login:
            await self.app(scope, receive, self._judging(send, house))
        else:
            await self._entering(given, house, scope, inside)(scope, receive, send)

    def _entering(self, given: str, house: str, scope: Scope, inside: bool) -> ASGIApp:
        """The app as who it is may have it, or a refusal."""
        name = known(given, self._accounts)
        if given and not name:
            self._guesses.wrong(house, given)
        if not name:
            free = inside or not _guarded(scope["path"])
            return self.app if free else _refusal(scope["path"])

        async def entered(scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(logged_in(scope, name, self._tokens[name]), receive, send)

        return entered

    def _judging(self, send: Send, house: str) -> Send:
        """`send` for the login's form, which counts as a wrong guess until it is found right."""
        guess = token_urlsafe()
        self._guesses.wrong(house, guess)

        async def sending(message: Sent) -> None:
            if message["type"] == "http.response.start" and message["status"] < BAD_REQUEST:
                self._guesses.right(house, guess)
            await send(message)

        return sending


def _basic(scope: Scope) -> str:
    """What a Basic authorization carries; "" where there is none."""
    kind, _, coded = Headers(scope=scope).get("authorization", "").partition(" ")
    return coded if kind.lower() == "basic" else ""


def known(coded: str, accounts: Accounts) -> str:
    """The name of the account that a Basic authorization carries; "" where it is nobody's."""
    try:
        given = b64decode(coded, validate=True)
    except ValueError:
        return ""
    for name, password in accounts:
        if compare_digest(given, f"{name}:{password}".encode()):
            return name
    return ""


def logged_in(scope: Scope, name: str, token: str) -> Scope:
    """The same request with the cookie of a login."""
    scope["app"].tokens.setdefault(token, name)
    others = [(key, value) for key, value in scope["headers"] if key != b"cookie"]
    cookie = f"{cookie_name(scope['app'])}={token}".encode()
    return {**scope, "headers": [*others, (b"cookie", cookie)]}


def cookie_name(app: object) -> str:
    """Gradio's cookie of a login."""
    return f"access-token-unsecure-{app.cookie_id}"  # pyright: ignore[reportAttributeAccessIssue]


def _guarded(path: str) -> bool:
    """Whether it can touch anything; a proxy's path may stand before it."""
    _, api, rest = path.rstrip("/").partition(API_PREFIX)
    return rest not in FREE if api else path.rstrip("/").endswith(ROUTES)


def login_of(scope: Scope) -> str:
    """Who has logged in by the page's form; "" where nobody has."""
    app, cookies = scope["app"], Request(scope).cookies
    names = (f"access-token-{app.cookie_id}", cookie_name(app))
    return next((login for name in names if (login := app.tokens.get(cookies.get(name)))), "")


def _refusal(path: str) -> PlainTextResponse:
    program = any(part in path for part in PROGRAMS)
    asking = {"WWW-Authenticate": 'Basic realm="Qwen2-Audio"'} if program else {}
    return PlainTextResponse("for accounts only\n", 401, asking)
