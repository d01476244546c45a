//! The reference page and the table of older names, written from the table of keys.
//!
//! A test compares the pages in `docs` with what is written here.

use std::fmt::Write;

use crate::draft::ChainDraft;
use crate::kinds::{Exposure, Shape};
use crate::older::RETIRED;
use crate::problem::NoteKind;
use crate::process::ProcessConfig;
use crate::table::{Key, Older, SUBJECTS, Sharing, process_keys, rows, variable};

const INTRODUCTION: &str = "\
# Configuration

This page is written by the program from its own table of keys. [Moving over from op-succinct](migration.md) explains
the names of older proposers.

Every key can stand in a TOML file (`--config FILE`), in a variable, or on the command line. A flag beats the
environment, that beats `--env-file`, that beats the names of older proposers, those beat the file, that beats the
default. `prooflog config` prints the value in force of every key and where it came from; secrets are masked.

- The flag of a key is `--` and the key. `--flag` alone means `--flag=true` where true and false are the choices.
- The variable of a key is `PROOFLOG_` and the key in capitals, with `_` for dots and dashes. An empty variable counts
  as not set. `PROOFLOG_CHAIN_<id>_<KEY>` counts for one chain.
- In the file a dot is a table and `_` in a key means `-`: `[rpc]` with `port = 8545` is the key `rpc.port`. Keys of
  the process stand at the top, keys of all chains under `[defaults]`, those of one chain in its `[[chain]]`.
- With one chain no file is needed.
- Durations are written `12s`, `5m`, `1h30m`; a bare number is seconds, and a note says so. Amounts have a unit:
  `100 gwei`, `0.1 ether`. Sizes are `512 MiB`, `2 GiB`. Lists have commas, or are lists in the file. An address in
  mixed case must have the right checksum.
- An unknown key or `PROOFLOG_` variable is an error; those that the project's own scripts read, such as
  `PROOFLOG_CACHE`, are let pass. All problems are reported at once and stop the start with exit
  code 2. A problem of one chain among several leaves that chain out, and the others run.

```toml
data-dir = \"/var/lib/prooflog\"

[metrics]
addr = \"0.0.0.0\"

[defaults]
l1-rpc = [\"https://l1.example/key\", \"https://other.example\"]
private-key-file = \"/run/secrets/proposer\"
span.blocks = 300

[[chain]]
id = 10
name = \"ten\"
rollup-rpc = \"http://op-node-10:9545\"
oracle-address = \"0x1010101010101010101010101010101010101010\"
prover.url = \"http://prover-10:3000\"

[[chain]]
id = 11
name = \"eleven\"
rollup-rpc = \"http://op-node-11:9545\"
oracle-address = \"0x1111111111111111111111111111111111111111\"
prover.url = \"http://prover-11:3000\"
txmgr.max-fee = \"200 gwei\"
```

`--config FILE` (`PROOFLOG_CONFIG`) names the file, `--env-file FILE` (`PROOFLOG_ENV_FILE`) a file of variables as
docker and dotenv read it: quotes, comments and `export` work, nothing is expanded.
";

const OLDER_NAMES: &str = "\
## Older names

The names of op-succinct's Go and Rust proposers and of op-proposer are read as they stand and with `OP_PROPOSER_`
before them. Our own name wins. Two older names that say different things about one key are an error. Each start says
what was taken for what.
";

/// The reference page, `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## The process\n");
    let mut process = ProcessConfig::default();
    for key in process_keys() {
        entry(&mut page, key, &mut process);
    }
    let mut chain = ChainDraft::default();
    for (subject, keys) in SUBJECTS {
        page.push_str(&format!("\n## {subject}\n\nThese belong to a chain.\n"));
        for key in keys {
            entry(&mut page, key, &mut chain);
        }
    }
    page.push('\n');
    page.push_str(OLDER_NAMES);
    page.push('\n');
    page.push_str(&older_names());
    page
}

/// One key.
fn entry<T: 'static>(page: &mut String, key: &Key<T>, target: &mut T) {
    let place = key.place;
    let default = place.show(target);
    let default = if default.is_empty() { "none".to_owned() } else { format!("`{default}`") };
    let mut more = String::new();
    if key.sharing == Sharing::Own {
        more.push_str(" With several chains each has its own.");
    }
    match place.exposure() {
        Exposure::Secret => more.push_str(" A secret."),
        Exposure::Masked => more.push_str(" Shown as scheme, host and digest."),
        Exposure::Open => {}
    }
    let flag = match place.shape() {
        Shape::Switch => format!("--{}[=false]", key.name),
        Shape::One | Shape::List => format!("--{} ...", key.name),
    };
    let names: Vec<String> = key.older.iter().map(|older| format!("`{}`", older.name)).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n### `{}`\n\n{}{more}\n\n- {}; default: {default}\n- `{flag}`, `{}`\n",
        key.name,
        key.doc,
        place.right(),
        variable(key.name)
    );
    if !names.is_empty() {
        page.push_str(&format!("- older names: {}\n", names.join(", ")));
    }
}

/// The tables of older names: what each is now.
#[must_use]
pub fn older_names() -> String {
    let mut text = "| Older name | Key | Its default | What is different |\n|---|---|---|---|\n".to_owned();
    for row in rows() {
        for older in row.older {
            let _ = writeln!(
                text,
                "| `{}` | `{}` | {} | {} |",
                older.name,
                row.name,
                defaults(older),
                different(older)
            );
        }
    }
    text.push_str(
        "\n| Older name | Now | |\n|---|---|---|\n| `SP1_*` | moved | set it at the prover's server |\n",
    );
    for retired in RETIRED {
        let now = if retired.kind == NoteKind::Moved { "moved" } else { "no effect" };
        let _ = writeln!(text, "| `{}` | {now} | {} |", retired.name, retired.why);
    }
    text
}

/// Each default with the programs that had it.
fn defaults(older: &Older) -> String {
    let mut each: Vec<(&str, Vec<&str>)> = Vec::new();
    for (program, value) in older.defaults.iter().filter(|(_, value)| !value.is_empty()) {
        match each.iter_mut().find(|(known, _)| known == value) {
            Some((_, programs)) => programs.push(program.name()),
            None => each.push((value, vec![program.name()])),
        }
    }
    let each = each.iter().map(|(value, programs)| format!("`{value}` ({})", programs.join(", ")));
    each.collect::<Vec<_>>().join("; ")
}

fn different(older: &Older) -> String {
    let changed = if older.changed.is_empty() { String::new() } else { format!("**{}**", older.changed) };
    [changed, older.remark.to_owned()].join(" ").trim().to_owned()
}
