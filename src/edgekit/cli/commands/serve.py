"""`edgekit serve`."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.arguments import path_type
from edgekit.cli.common import Call, Command, common

_LOOPBACK = "127.0.0.1"
_PORT = 8631


@click.command(
    "serve",
    cls=Command,
    examples=[
        "edgekit serve",
        "edgekit serve --port 9000",
        "edgekit serve --host 192.168.1.5 --token-file token --name lab.example",
    ],
)
@click.option(
    "--host",
    default=_LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Address to serve on; any but that of this machine alone needs a token.",
)
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=_PORT,
    show_default=True,
    metavar="NUMBER",
    help="Port to serve on; 0 for a free one.",
)
@click.option("--token-file", type=path_type, metavar="FILE", help="File with the token that readers need.")
@click.option("--name", multiple=True, metavar="NAME", help="Further name of this machine in a browser; repeatable.")
@common()
def command(call: Call, host: str, port: int, token_file: Path | None, name: tuple[str, ...]) -> None:
    """Serve the runs that were kept as pages for a browser.

    Shows the latest verdicts, trends, comparisons and reports of the runs that --record or the setting 'history' kept.
    The pages change nothing, and load nothing from elsewhere. Ctrl-C stops it.
    """
    from edgekit.flows.serve import serve_site

    with serve_site(call.history(), host=host, port=port, token_file=token_file, names=name) as site:
        call.answer(site.report, lambda shown: f"{shown.store} at {shown.url}")
        call.note("Ctrl-C stops it.")
        site.run()
