# Sourced by tools/test, tools/demo and .ci/run: installs what a fresh Debian lacks, and says what it does.
# Cargo itself is the one thing that it leaves to you.

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

if ! command -v cargo >/dev/null 2>&1 && [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
if ! command -v cargo >/dev/null 2>&1; then
  echo "cargo is missing: install Rust 1.95 or newer (rustup.rs, or your distribution's package) and run this again." >&2
  exit 3
fi
# A distribution's package is often older than what the project is written for, which cargo says late and for each crate.
wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml" | head -n 1)
found=$(cargo --version | awk '{print $2}')
if [ -n "$wanted" ] && [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
  echo "cargo is $found, which is too old: install Rust $wanted or newer (rustup.rs) and run this again." >&2
  exit 3
fi

# Debian's packages, with nobody to answer questions.
install_packages() {
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: $* (Debian's names). Install them with your package manager and run this again." >&2
    exit 3
  fi
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    echo "missing: $*. There is no sudo: run \`apt-get install $*\` as root, and then this again." >&2
    exit 3
  fi
  say "installing $*"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

need_packages() {
  local missing=()
  # RocksDB is C++ whose bindings are made by libclang.
  command -v c++ >/dev/null 2>&1 || missing+=(g++)
  command -v make >/dev/null 2>&1 || missing+=(make)
  command -v git >/dev/null 2>&1 || missing+=(git)
  # Not libclang-cpp, which many machines have without it.
  { compgen -G '/usr/lib/llvm-*/lib/libclang[.-][s0-9]*' || compgen -G '/usr/lib/*/libclang[.-][s0-9]*' ||
    [ -n "${LIBCLANG_PATH:-}" ]; } >/dev/null || missing+=(clang libclang-dev)
  [ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
}

# The tests read a database as op-succinct's Rust proposer leaves it, in a server of their own.
need_postgres() {
  command -v initdb >/dev/null 2>&1 && return 0
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "no Postgres server: tests that need one are skipped" >&2
    return 0
  fi
  install_packages postgresql
}

# Tools that cargo builds live beside the build cache, so that they are built once per machine.
PROOFLOG_CACHE="${PROOFLOG_CACHE:-$HOME/.cache/prooflog}"
export PATH="$PROOFLOG_CACHE/bin:$PATH"

need_cargo_tool() { # command, crate, version
  command -v "$1" >/dev/null 2>&1 && return 0
  say "installing $2 $3 (once: it is kept in $PROOFLOG_CACHE)"
  cargo install --locked --root "$PROOFLOG_CACHE" --version "$3" "$2"
}

# The build of UmaDB, which the benchmarks stand beside, runs protoc; nothing of ours does.
need_protoc() {
  command -v protoc >/dev/null 2>&1 || install_packages protobuf-compiler
}

# Certificates for trying clients over TLS are made by its command.
need_openssl() {
  command -v openssl >/dev/null 2>&1 || install_packages openssl
}

# Certificates are only recommended by these packages.
need_npm() {
  command -v npm >/dev/null 2>&1 || install_packages nodejs npm ca-certificates
}

# Debian has the module that makes environments in a package of its own.
need_python() {
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || install_packages python3 python3-venv
}

need_packages
