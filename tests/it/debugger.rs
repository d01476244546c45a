//! The debugger in a real terminal, under tmux: it draws, answers keys, and leaves the terminal as it was.
//!
//! Where there is no tmux the test says so and shows nothing; the screens are tested without one in `transcripts`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A terminal of its own.
struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    fn start(socket: &Path, size: (u32, u32), command: &str) -> Option<Self> {
        let tmux = Self { socket: socket.to_owned() };
        std::fs::write(tmux.settings(), "set -g status off\nset -g default-terminal xterm-256color\n")
            .unwrap();
        let (columns, lines) = (size.0.to_string(), size.1.to_string());
        let words = ["new-session", "-d", "-s", "t", "-x", &columns, "-y", &lines, command];
        tmux.run(&words).map(|_| tmux)
    }

    /// Settings that take nothing off the screen's height.
    fn settings(&self) -> PathBuf {
        self.socket.with_extension("conf")
    }

    fn run(&self, words: &[&str]) -> Option<String> {
        let mut tmux = Command::new("tmux");
        tmux.env("TERM", "xterm-256color").env_remove("TMUX").arg("-f").arg(self.settings());
        let output = tmux.arg("-S").arg(&self.socket).args(words).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys", "-t", "t"], keys].concat()).unwrap();
    }

    /// The screen, once it shows this.
    fn shows(&self, wanted: &str) -> String {
        let mut screen = String::new();
        // Each look is a process of its own, which is pause enough.
        for _ in 0..5_000 {
            screen = self.run(&["capture-pane", "-p", "-t", "t"]).unwrap_or_default();
            if screen.contains(wanted) {
                return screen;
            }
        }
        panic!("the screen never shows {wanted:?}:\n{screen}");
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// The debugger at event 272, in a terminal of its own.
struct Session {
    dir: tempfile::TempDir,
    log: PathBuf,
}

impl Session {
    fn new() -> Self {
        let log = super::audit::golden("retry-until-parked.jsonl");
        Self { dir: tempfile::tempdir().unwrap(), log }
    }

    /// Starts it under a shell that tells how the terminal was left; nothing where there is no tmux.
    #[expect(clippy::print_stderr, reason = "who reads the output of a test learns what was left out")]
    fn start(&self, name: &str, size: (u32, u32)) -> Option<Tmux> {
        let program = env!("CARGO_BIN_EXE_prooflog");
        // The shell around it is not signalled with it.
        let command = format!(
            "sh -c 'echo $$ > {pid}; exec {program} --data-dir {log} debug --at 272'; echo ENDED $?; stty -a > {told}; \
             echo GONE; cat",
            pid = self.path(name, "pid").display(),
            log = self.log.display(),
            told = self.path(name, "told").display(),
        );
        let tmux = Tmux::start(&self.path(name, "tmux"), size, &command);
        if tmux.is_none() {
            eprintln!("SKIPPED: there is no tmux here, so no real terminal was tried");
        }
        tmux
    }

    fn path(&self, name: &str, what: &str) -> PathBuf {
        self.dir.path().join(format!("{what}-{name}"))
    }

    /// Waits for its end: in order, with the old screen back and the terminal as it was.
    fn has_left(&self, name: &str, tmux: &Tmux) {
        let screen = tmux.shows("GONE");
        assert!(screen.contains("ENDED 0") && !screen.contains("EVENTS"), "{name}: {screen}");
        let told = std::fs::read_to_string(self.path(name, "told")).unwrap();
        let is_set = |flag: &str| told.split_whitespace().any(|word| word.trim_end_matches(';') == flag);
        assert!(is_set("icanon") && is_set("echo"), "{name}: {told}");
    }
}

#[test]
fn a_signal_gives_the_terminal_back_as_a_key_does() {
    let session = Session::new();
    for signal in ["TERM", "HUP"] {
        let Some(tmux) = session.start(signal, (80, 24)) else { return };
        tmux.shows("EVENT 272 Parked");
        let pid = std::fs::read_to_string(session.path(signal, "pid")).unwrap();
        assert!(Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap().success());
        session.has_left(signal, &tmux);
    }
}

#[test]
fn in_a_real_terminal_it_draws_answers_and_leaves_everything_as_it_was() {
    let session = Session::new();
    for size in [(80, 24), (120, 40)] {
        let name = format!("{}x{}", size.0, size.1);
        let Some(tmux) = session.start(&name, size) else { return };
        // What is drawn in a terminal is what is drawn without one. Waiting for a part of it would meet a terminal that
        // has drawn half a screen.
        let words = ["debug", "--at", "272", "--keys", "", "--size", &name];
        let printed = super::command_line::prooflog(&session.log, &words);
        let screen = tmux.shows(std::str::from_utf8(&printed.stdout).unwrap());
        assert_eq!(screen.lines().count(), usize::try_from(size.1).unwrap(), "{screen}");
        assert!(screen.contains("OWED") && screen.contains("CHANGED"), "{screen}");
        tmux.keys(&["n"]);
        tmux.shows("EVENT 273");
        tmux.keys(&["Left"]);
        tmux.keys(&["PPage"]);
        tmux.shows("EVENT 172");
        tmux.keys(&[":", "1", "0", "0", "Enter"]);
        tmux.shows("EVENT 100");
        tmux.keys(&["/", "U", "n", "p", "a", "r", "k", "Enter"]);
        tmux.shows("EVENT 300 Unparked");
        tmux.keys(&["?"]);
        tmux.shows("KEYS");
        tmux.keys(&["Escape"]);
        tmux.shows("EVENT 300 Unparked");
        tmux.keys(&["q"]);
        session.has_left(&name, &tmux);
    }
}
