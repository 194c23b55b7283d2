// Makes one classic script of the modules, for pages that are opened from the disk: browsers load no modules there.
//
//   node build.mjs [OUT.js]     dist/atlcodec.js if no other is named; it defines `atlcodec`
//
// Each module becomes a function that is called once. Modules have imports and exports of one kind each, at the
// beginnings of lines: `import { a, b } from "./x.js";`, and `export` before a declaration.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const IMPORT = /^import (\{.*\}) from "(.*)";$/gm;
const EXPORT = /^export ((?:async )?(?:function\*?|class|const) (\w+))/gm;
const REEXPORT = /^export (\{.*\}) from "(.*)";$/gm;
const done = new Map();

/** The script of a module and of those that it needs, which come first; its name in the script. */
function add(path, parts) {
  if (done.has(path)) return done.get(path);
  const needed = (other) => add(join(dirname(path), other), parts);
  const own = [];
  const text = readFileSync(path, "utf8")
    .replace(REEXPORT, (_, names, other) => {
      own.push(...names.slice(1, -1).split(","));
      return `const ${names} = ${needed(other)};`;
    })
    .replace(IMPORT, (_, names, other) => `const ${names} = ${needed(other)};`)
    .replace(EXPORT, (_, declaration, name) => {
      own.push(name);
      return declaration;
    });
  const name = `module${done.size}`;
  done.set(path, name);
  parts.push(`const ${name} = (() => {\n${text}\nreturn { ${own.map((each) => each.trim()).join(", ")} };\n})();\n`);
  return name;
}

const parts = [];
const entry = add(join(here, "index.js"), parts);
const script = `"use strict";\nvar atlcodec = (() => {\n${parts.join("\n")}\nreturn ${entry};\n})();\n`;
const target = process.argv[2] ?? join(here, "dist/atlcodec.js");
mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, script);
