"""The inputs that lie at a URL: good and bad pages, wrong and private addresses."""

from collections.abc import Callable

from tests.input_parts import HASTY, OPEN, RESTLESS, Input


def _page(path: str) -> Callable[[str], str]:
    return lambda server: server + path


def urls() -> list[Input]:
    """What lies at a URL; the place is a server's address."""
    return [*_good_and_bad_pages(), *_wrong_urls(), *_private_urls()]


def _good_and_bad_pages() -> list[Input]:
    return [
        Input("a URL", _page("/tone.wav"), "heard", limits=OPEN),
        Input("a URL that moved", _page("/moved?/tone.wav"), "heard", limits=OPEN),
        Input("a URL that moved in a circle", _page("/circle"), "url_redirects", limits=OPEN),
        Input("a URL that is not there", _page("/gone.wav"), "url_status", limits=OPEN),
        Input("a server's own error", _page("/broken.wav"), "url_status", limits=OPEN),
        Input("a web page's URL", _page("/page.wav"), "url_html", limits=OPEN),
        Input("a URL with no bytes", _page("/nothing.wav"), "empty_file", limits=OPEN),
        Input("a URL that never ends", _page("/endless.wav"), "url_too_large", limits=OPEN),
        Input("a URL of 1 TB", _page("/large.wav"), "too_large", limits=OPEN),
        Input("a URL that drips", _page("/dripping.wav"), "url_slow", limits=HASTY),
        Input("a URL whose head drips", _page("/dripping_head.wav"), "url_slow", limits=HASTY),
        Input("a URL that stalls", _page("/stalled.wav"), "url_stalled", limits=RESTLESS),
        Input("a URL that breaks off", _page("/cut.wav"), "url_broke_off", limits=OPEN),
        Input("a gzip bomb", _page("/bomb.wav"), "url_too_large", limits=OPEN),
        Input("a URL packed with brotli", _page("/brotli.wav"), "url_encoding", limits=OPEN),
        Input("no web server", _page("/noise.wav"), "url_no_answer", limits=OPEN),
    ]


def _wrong_urls() -> list[Input]:
    return [
        Input(
            "a URL that moved to a file",
            _page("/moved?file:///etc/passwd"),
            "url_scheme",
            limits=OPEN,
        ),
        Input(
            "a URL that moved to ftp", _page("/moved?ftp://host/a.wav"), "url_scheme", limits=OPEN
        ),
        Input(
            "a port where nobody listens",
            "http://127.0.0.1:1/a.wav",
            "url_unreachable",
            limits=OPEN,
        ),
        Input("a name that is not there", "http://nowhere.invalid/a.wav", "url_unreachable"),
        Input("file:", "file:///etc/passwd", "url_scheme"),
        Input("ftp:", "ftp://host/a.wav", "url_scheme"),
        Input("a URL without a host", "http:///a.wav", "url_wrong"),
        Input("a URL with a wrong port", "http://host:wrong/a.wav", "url_wrong"),
    ]


PRIVATE_HOSTS = {
    "localhost": "localhost",
    "loopback in IPv6": "[::1]",
    "loopback as one number": "2130706433",
    "loopback in hexadecimal": "0x7f.1",
    "0.0.0.0": "0.0.0.0",
    "10.0.0.1": "10.0.0.1",
    "172.16.0.1": "172.16.0.1",
    "192.168.0.1": "192.168.0.1",
    "a provider's inner range": "100.64.0.1",
    "a cloud's metadata": "169.254.169.254",
    "link-local in IPv6": "[fe80::1]",
    "unique local in IPv6": "[fd00::1]",
    "multicast": "224.0.0.1",
    "IPv4 in IPv6": "[::ffff:10.0.0.1]",
    "IPv4 behind NAT64": "[64:ff9b::7f00:1]",
    "IPv4 in 6to4": "[2002:7f00:1::]",
}


def _private_urls() -> list[Input]:
    by_number = [
        Input(title, f"http://{host}/a.wav", "url_private") for title, host in PRIVATE_HOSTS.items()
    ]
    return [Input("this server", _page("/tone.wav"), "url_private"), *by_number]
