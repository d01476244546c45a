// Compiles the contracts beside this file and writes one JSON of ABI and bytecode: node compile.js OUTPUT
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const files = fs.readdirSync(__dirname).filter((name) => name.endsWith(".sol")).sort();
const sources = {};
for (const name of files) sources[name] = { content: fs.readFileSync(path.join(__dirname, name), "utf8") };
const settings = {
  evmVersion: "paris",
  metadata: { bytecodeHash: "none", appendCBOR: false },
  optimizer: { enabled: true, runs: 200 },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};
const input = { language: "Solidity", sources, settings };
const find = (name) => ({ contents: sources[path.basename(name)]?.content ?? "" });
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find }));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
for (const error of errors) console.error(error.formattedMessage);
if (errors.length > 0) process.exit(1);
const artifacts = {};
for (const name of files) {
  for (const [contract, { abi, evm }] of Object.entries(output.contracts[name] ?? {})) {
    if (evm.bytecode.object !== "") artifacts[contract] = { abi, bytecode: "0x" + evm.bytecode.object };
  }
}
const sorted = Object.fromEntries(Object.entries(artifacts).sort(([a], [b]) => (a < b ? -1 : 1)));
fs.writeFileSync(process.argv[2], JSON.stringify(sorted, null, 1) + "\n");
