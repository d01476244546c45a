# Sourced by tools/test, tools/demo and .ci/run: installs what a fresh Debian lacks, and says what it does.
# Cargo itself is the one thing that it leaves to you.

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    echo "this needs root, and there is no sudo: $*" >&2
    exit 3
  fi
}

if ! command -v cargo >/dev/null 2>&1 && [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
if ! command -v cargo >/dev/null 2>&1; then
  echo "cargo is missing: install Rust 1.95 or newer (rustup.rs, or your distribution's package) and run this again." >&2
  exit 3
fi

need_packages() {
  local missing=()
  # RocksDB is C++ whose bindings are made by libclang.
  command -v c++ >/dev/null 2>&1 || missing+=(g++)
  command -v make >/dev/null 2>&1 || missing+=(make)
  command -v git >/dev/null 2>&1 || missing+=(git)
  # Not libclang-cpp, which many machines have without it.
  { compgen -G '/usr/lib/llvm-*/lib/libclang[.-][s0-9]*' || compgen -G '/usr/lib/*/libclang[.-][s0-9]*' ||
    [ -n "${LIBCLANG_PATH:-}" ]; } >/dev/null || missing+=(clang libclang-dev)
  [ "${#missing[@]}" -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: ${missing[*]} (Debian's names). Install them with your package manager and run this again." >&2
    exit 3
  fi
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# The tests read a database as op-succinct's Rust proposer leaves it, in a server of their own.
need_postgres() {
  command -v initdb >/dev/null 2>&1 && return 0
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "no Postgres server: tests that need one are skipped" >&2
    return 0
  fi
  say "installing postgresql"
  as_root apt-get update -qq
  as_root apt-get install -y -qq --no-install-recommends postgresql
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
  command -v protoc >/dev/null 2>&1 && return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: protoc. Install it with your package manager and run this again." >&2
    exit 3
  fi
  say "installing protobuf-compiler"
  as_root apt-get update -qq
  as_root apt-get install -y -qq --no-install-recommends protobuf-compiler
}

need_packages
