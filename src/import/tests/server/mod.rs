//! A Postgres server in a scratch directory, on a port of its own, gone with the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "pr00f";

pub(crate) struct Server {
    dir: TempDir,
    bin: PathBuf,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts one; says so and gives none where the programs are missing, which `.ci/run` and `tools/test` install.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "no Postgres server is installed");
            eprintln!("skipped: no Postgres server is installed (Debian: postgresql)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let data = dir.path().join("data");
        let made = as_nobody(&bin.join("initdb"))
            .args([
                "--username=prooflog",
                "--auth=scram-sha-256",
                "--no-sync",
                "--locale=C",
                "--encoding=UTF8",
            ])
            .arg(format!("--pwfile={}", secret.display()))
            .arg(format!("--pgdata={}", data.display()))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = as_nobody(&bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-k", "", "-p"])
            .arg(port.to_string())
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=20"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { dir, bin, port, child };
        server.wait();
        Some(server)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://prooflog:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database.
    pub(crate) fn create(&self, name: &str, statements: &[&str]) {
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        statements.iter().for_each(|statement| self.run(name, statement));
    }

    /// Runs statements in a database.
    pub(crate) fn run(&self, database: &str, statements: &str) {
        let mut client = postgres::Client::connect(&self.url(database), postgres::NoTls).unwrap();
        client.batch_execute(statements).unwrap();
    }

    /// Returns when it answers: it tells by its own program, which asks until then.
    fn wait(&self) {
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while postgres::Client::connect(&self.url("postgres"), postgres::NoTls).is_err() {
            assert!(
                std::time::Instant::now() < limit,
                "the server in {} does not start",
                self.dir.path().display()
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fast: connections are cut off. Its own program knows how, whoever runs it.
        let data = self.dir.path().join("data");
        let _ = as_nobody(&self.bin.join("pg_ctl"))
            .args(["stop", "--mode=immediate", "--silent", "-D"])
            .arg(data)
            .status();
        let _ = self.child.wait();
    }
}

/// Where the programs of the newest release are.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut releases: Vec<PathBuf> = releases.map(|release| release.path().join("bin")).collect();
    releases.sort();
    releases
        .into_iter()
        .rev()
        .chain(on_path)
        .find(|bin| ["initdb", "postgres", "pg_ctl"].iter().all(|program| bin.join(program).is_file()))
}

/// Postgres refuses to run as root: there it runs as the user `nobody`.
fn as_nobody(program: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command
}
