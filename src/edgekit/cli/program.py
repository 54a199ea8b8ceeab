"""The table of commands, and the group that loads a command's module when it is called."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Final

import click

from edgekit.core.system import command_line
from edgekit.core.system.version import VERSION

# Name: (module in edgekit.cli.commands, what it does in one line; the command's own help begins with the same line).
COMMANDS: Final = {
    "build": ("build", "Take a model to a verdict: export, validate, profile, judge."),
    "train": ("train", "Train a reference model."),
    "export": ("export", "Convert a model into artifacts, each checked for parity."),
    "validate": ("validate", "Check parity and accuracy of artifacts or of a trained model."),
    "bisect": ("bisect", "Find the first tensor where two artifacts diverge."),
    "run": ("run", "Run a model on inputs and print its outputs."),
    "profile": ("profile", "Measure latency, load time and memory on targets."),
    "tune": ("tune", "Find the best artifact, threads and options for a target."),
    "sweep": ("sweep", "Measure every combination of models, targets and backend versions."),
    "compare": ("compare", "Compare the latency of two artifacts, or of two reports."),
    "check": ("check", "Check models in CI against budgets, a baseline and the history."),
    "init": ("init", "Write an edgekit.toml for the models in this folder."),
    "history": ("history", "Show earlier runs and checks, find the first slow one, accept a new level."),
    "fleet": ("fleet", "Offer devices to others, and use those of other hosts, through Dask."),
    "serve": ("serve", "Serve the runs that were kept as pages for a browser."),
    "explain": ("explain", "Explain why the times in a report are what they are."),
    "inspect": ("inspect", "Print the contents of a model file or a bundle."),
    "bundle": ("bundle", "Inspect, compare, sign, verify or pack a bundle."),
    "deploy": ("deploy", "Write a bundle as a program that needs no edgekit, or install it on a device."),
    "devices": ("devices", "Manage the devices that targets name."),
    "tools": ("tools", "Install converters that need their own environment."),
    "list": ("list", "List models, recipes, backends, datasets or devices."),
    "doctor": ("doctor", "Check this machine and print the commands that fix it."),
    "config": ("config", "Show the settings in force."),
    "completion": ("completion", "Print the completion script for a shell."),
}
COMPLETE_VARIABLE: Final = "_EDGEKIT_COMPLETE"


class Commands(click.Group):
    """A group that suggests the nearest name for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command called `args[0]`, and the rest."""
        name = args[0]
        if name in self.list_commands(ctx) or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from edgekit.core.errors import nearest

        known = self.list_commands(ctx)
        offer = nearest(name, known) or f" Known: {', '.join(known)}."
        raise click.UsageError(f"Unknown command '{name}'.{offer}", ctx)


class Program(Commands):
    """`edgekit` itself: lists its commands from the table alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, its module imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edgekit.cli.commands.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        """Commands that begin with `incomplete`, from the table."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=summary) for name, (_, summary) in COMMANDS.items() if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(VERSION, "--version", message="edgekit %(version)s", help="Print the version.")
def program() -> None:
    """Take a PyTorch model to a latency, accuracy and parity verdict on your own devices.

    Results go to standard output, everything else to standard error. Exit codes: 0 pass, 1 verdict fail, 2 usage,
    3 environment, 4 inconclusive, 5 unreadable or not convertible, 70 bug in edgekit, 130 interrupted.
    """


def invoke(arguments: Iterable[str]) -> int:
    """Run one command line and return the exit code of the command; exceptions pass through."""
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return int(shell_complete(program, {}, "edgekit", COMPLETE_VARIABLE, instruction))
    words = list(arguments)
    try:
        # Not program.main(): it turns a closed pipe into exit 1, which means a failed verdict here.
        with command_line.given(words), program.make_context("edgekit", list(words)) as context:
            return program.invoke(context) or 0
    except click.exceptions.Exit as done:
        return done.exit_code
