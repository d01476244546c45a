//! `docs/commands.md` is what the command line says of itself. `PROOFLOG_UPDATE_DOCS=1` writes it again.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;

use clap::{Arg, CommandFactory as _};

use super::Arguments;

const HEAD: &str = "# Commands

All of them, as `prooflog help` tells them; a test keeps this page in step. What they are for is in the
[README](../README.md), when to use them in [operations.md](operations.md).

Data goes to standard output and everything else to standard error; the exit codes are in
[operations.md](operations.md#exit-codes). `run`, `doctor`, `config`, `serve` and `import op-succinct` also take a flag for every
setting, as [configuration.md](configuration.md) names them.

## Options of all commands

";

/// Markdown's own characters in a table are text.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

fn name(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let takes = arg.get_action().takes_values();
    match arg.get_long() {
        Some(long) => match value.filter(|_| takes) {
            Some(value) => format!("`--{long} {value}`"),
            None => format!("`--{long}`"),
        },
        None => format!("`{}`", value.unwrap_or_else(|| arg.get_id().to_string().to_uppercase())),
    }
}

fn told(arg: &Arg) -> String {
    let mut text = cell(&arg.get_help().map(ToString::to_string).unwrap_or_default());
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let choices: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let takes = arg.get_action().takes_values();
    if takes && !choices.is_empty() {
        write!(text, " One of `{}`.", choices.join("`, `")).unwrap();
    }
    if let Some(variable) = arg.get_env() {
        write!(text, " Also `{}`.", variable.to_string_lossy()).unwrap();
    }
    if takes && defaults.iter().any(|value| !value.is_empty()) {
        write!(text, " By default `{}`.", defaults.join(", ")).unwrap();
    }
    text
}

fn table<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    let args: Vec<&Arg> = args.filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")).collect();
    if args.is_empty() {
        return;
    }
    page.push_str("| | |\n|---|---|\n");
    args.iter().for_each(|arg| writeln!(page, "| {} | {} |", name(arg), told(arg)).unwrap());
    page.push('\n');
}

fn section(page: &mut String, path: &str, command: &clap::Command) {
    let mut subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help").peekable();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let is_command = subcommands.peek().is_none() || !command.is_subcommand_required_set();
    if is_command {
        writeln!(page, "## `{path}`\n\n{}\n", about.trim()).unwrap();
        table(page, command.get_arguments().filter(|arg| !arg.is_global_set()));
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if !after.is_empty() {
            let examples: Vec<&str> = after.lines().map(str::trim).collect();
            let examples = examples.join("\n");
            let examples = examples.trim_start_matches("Examples:").trim_start_matches("Example:").trim();
            writeln!(page, "```text\n{examples}\n```\n").unwrap();
        }
    }
    subcommands.for_each(|sub| section(page, &format!("{path} {}", sub.get_name()), sub));
}

#[test]
fn the_page_of_commands_is_what_the_command_line_says() {
    let mut command = Arguments::command();
    command.build();
    let mut page = HEAD.to_owned();
    table(&mut page, command.get_arguments());
    let subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    subcommands.for_each(|sub| section(&mut page, &format!("prooflog {}", sub.get_name()), sub));
    let page = format!("{}\n", page.trim_end());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
    if std::env::var_os("PROOFLOG_UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/commands.md is not up to date: run this test with PROOFLOG_UPDATE_DOCS=1");
}
