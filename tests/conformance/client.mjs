// A small independent client of a workspace, written from docs/reference/file-format.md and from nothing else: Node 20, no packages.
//
//   node client.mjs ROOT task TC-1             what a task is
//   node client.mjs ROOT ledger                the entries of the ledger
//   node client.mjs ROOT inbox peter           the messages in new, cur and done
//   node client.mjs ROOT do '{"claim": "TC-1", "agent": "peter"}'     or {"done": ..., "generation": N, "summary": TEXT}
//   node client.mjs ROOT race peter 20         claim free tasks until none is free; one line for each task won
//   node client.mjs -                          read questions from standard input, one JSON list of these words a line
//
// Every answer is one line of JSON; a refusal is {"error": CODE}. With CLAWFILES_NO_FLOCK=1 it behaves as a program without flock.
//
// Parts of the page's "should" and "may" that are left out, because no case asks for them:
// - reading status files: Needs, Output, log lines without a label, the column named Status of a wide table, the ticked box of a section
//   named Status, words of one wrong letter outside of a label, the difference between sections of one file, emoji other than the marks;
//   which words the rest of a line may hold is the short list in OK_REST, and everything else behind a state is unclear
// - times: names of days and months, times relative to now, German words, zone names other than Z, UTC, an offset, and an IANA name
// - front matter: nested values are kept but not looked into; `need`, `estimate`, `timeout` and `priority` are not checked
// - writing: names are not exchanged, displaced versions are not looked at, and a definition whose file is older than the status file is
//   brought up to date by its keys, not by its text
// - reports, checkpoints, runs, briefs, choices, posts, events, compartments, sending

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';

const NO_FLOCK = process.env.CLAWFILES_NO_FLOCK === '1';
const LIMIT = 1 << 20;

class Refused extends Error {
  constructor(code, message) {
    super(message ?? code);
    this.code = code;
  }
}

// ---- text -------------------------------------------------------------------------------------------------------------------------------

// The text of a file and its age. Only regular files with one link are read.
function readText(file) {
  let stat;
  try {
    stat = fs.lstatSync(file);
  } catch {
    return null;
  }
  if (!stat.isFile() || stat.nlink !== 1 || stat.size > LIMIT) throw new Refused('invalid-file', 'no regular file of at most 1 MiB');
  const bytes = fs.readFileSync(file);
  const young = Date.now() - stat.mtimeMs < 2000;
  if (!bytes.length) throw new Refused(young ? 'pending' : 'invalid-file', 'empty');
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused('invalid-file', 'not UTF-8');
  }
  if (text.includes('\0') || /\r(?!\n)/.test(text)) throw new Refused('invalid-file', 'NUL, or lines that end in CR alone');
  return { file, text, young, mtime: stat.mtimeMs, mode: stat.mode & 0o777 };
}

const NOTHING = new Set(['', '~', '-', 'null', 'none', 'n/a']);
const unquote = (text) => {
  if (/^"(?:[^"\\]|\\.)*"$/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return text.slice(1, -1);
    }
  }
  return /^'(?:[^']|'')*'$/.test(text) ? text.slice(1, -1).replaceAll("''", "'") : text;
};

// A comma-separated list without nesting; commas in quotation marks do not count.
function splitList(inner) {
  const parts = [];
  let part = '', quote = '';
  for (const c of inner) {
    if (quote) quote = c === quote ? '' : quote;
    else if (c === '"' || c === "'") quote = c;
    if (c === ',' && !quote) parts.push(part), (part = '');
    else part += c;
  }
  return [...parts, part].map((p) => unquote(p.trim())).filter((p) => p !== '');
}

function scalar(raw) {
  const text = raw.trim();
  if (/^["']/.test(text)) {
    const quoted = text.match(/^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*(?:#.*)?$/);
    if (!quoted) throw new Refused('invalid-file', 'a quotation mark is not closed');
    return unquote(quoted[1]);
  }
  const bare = text.startsWith('#') ? '' : text.replace(/\s+#.*$/, '');
  if (/^[&*!]/.test(bare)) throw new Refused('invalid-file', 'anchors, aliases and tags are not read');
  if (/^\[.*\]$/.test(bare)) return splitList(bare.slice(1, -1));
  return bare;
}

// Front matter: {key: value} by plain names, the span of lines of each key, and where the body begins. Null where there is none.
function frontMatter(text) {
  const lines = text.split('\n');
  if (lines[0].replace(/^\uFEFF/, '').trimEnd() !== '---') return { values: {}, spans: {}, names: {}, lines, start: 0, has: false };
  const end = lines.findIndex((line, n) => n > 0 && line.trimEnd() === '---');
  if (end < 0) throw new Refused('invalid-file', 'the front matter is not closed');
  const values = {}, spans = {}, names = {};
  let key = null;
  for (let n = 1; n < end; n++) {
    const line = lines[n].replace(/\r$/, '');
    if (/^\s*(#.*)?$/.test(line)) continue;
    if (key !== null && /^(\s+|-\s)/.test(line)) {
      spans[key][1] = n + 1;
      const item = line.match(/^\s*-\s+(.*)$/);
      if (item) values[key] = [].concat(Array.isArray(values[key]) ? values[key] : [], scalar(item[1]));
      continue;
    }
    const pair = line.match(/^("[^"]*"|'[^']*'|[^\s:#][^:]*?)\s*:(?:\s+(.*))?$/);
    if (!pair) throw new Refused('invalid-file', `line ${n + 1} is no key and value`);
    const name = unquote(pair[1]);
    const plainName = name.toLowerCase().replace(/[ -]/g, '_');
    if (plainName in names) throw new Refused('invalid-file', `${name} is there twice`);
    names[plainName] = name;
    key = name;
    values[name] = scalar(pair[2] ?? '');
    spans[name] = [n, n + 1];
  }
  return { values, spans, names, lines, start: end + 1, has: true };
}

const SYNONYMS = {
  status: ['state'], assignee: ['owner', 'assigned_to', 'agent'], requested_by: ['requester'], outputs: ['output'], eta: ['estimated'], need: ['needs'],
};

// The value of a key, read under its other names too; undefined where there is none.
function value(fm, key) {
  for (const name of [key, ...(SYNONYMS[key] ?? [])]) {
    if (!(name in fm.names)) continue;
    const found = fm.values[fm.names[name]];
    if (Array.isArray(found)) return found.length ? found : undefined;
    return NOTHING.has(found.toLowerCase()) ? undefined : found;
  }
  return undefined;
}
const one = (found) => (Array.isArray(found) && found.length === 1 ? found[0] : found);
const list = (found) => (found === undefined ? [] : [].concat(found));

// The text with these keys set (null takes a key out), and no other byte changed.
function setKeys(text, changes) {
  const fm = frontMatter(text);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const line = (key, set) => `${key}: ${set}${eol}`;
  if (!fm.has) {
    const bom = text.startsWith('\uFEFF') ? '\uFEFF' : '';
    const block = Object.entries(changes).filter(([, set]) => set !== null).map(([key, set]) => line(key, set));
    return `${bom}---${eol}${block.join('')}---${eol}${text.slice(bom.length)}`;
  }
  const kept = fm.lines.map((one, n) => (n < fm.lines.length - 1 ? one + '\n' : one));
  let added = '';
  for (const [key, set] of Object.entries(changes)) {
    const name = [key, ...(SYNONYMS[key] ?? [])].map((other) => fm.names[other]).find((other) => other !== undefined);
    if (name === undefined) added += set === null ? '' : line(key, set);
    else {
      const [from, to] = fm.spans[name];
      for (let n = from; n < to; n++) kept[n] = '';
      if (set !== null) kept[from] = line(name, set);
    }
  }
  kept[fm.start - 1] = added + kept[fm.start - 1];
  return kept.join('');
}

const quoted = (text) => (/^[A-Za-z0-9][\w ./@()-]*$/.test(text) ? text : JSON.stringify(text));

// ---- settings ---------------------------------------------------------------------------------------------------------------------------

function settings(root) {
  const tables = {};
  let table = '';
  for (const line of fs.readFileSync(path.join(root, 'clawfiles.toml'), 'utf8').split(/\r?\n/)) {
    const head = line.match(/^\s*\[([^\[\]]+)\]\s*(?:#.*)?$/), pair = line.match(/^\s*"?([\w-]+)"?\s*=\s*(.*)$/);
    if (head) table = head[1].replaceAll('"', '').trim();
    else if (pair) (tables[table] ??= {})[pair[1]] = scalar(pair[2]);
    if (head) tables[table] ??= {};
  }
  const at = tables.workspace ?? {};
  return {
    root, tables, zone: at.timezone ?? 'UTC', prefix: at.prefix ?? 'TC', ledger: path.join(root, at.ledger ?? 'HEARTBEAT.md'),
    check: minutes(list(tables.heartbeat?.check ?? '30m')[0]), lease: minutes(tables.heartbeat?.lease ?? '90m'),
    agents: Object.keys(tables).filter((name) => name.startsWith('agents.')).map((name) => name.slice(7).toLowerCase()),
    states: stateWords(tables.words ?? {}),
  };
}

function minutes(text) {
  const unit = { s: 1 / 60, m: 1, h: 60, d: 1440 };
  return /^\d+$/.test(text) ? +text / 60 : [...String(text).matchAll(/(\d+)([smhd])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0);
}

// ---- times ------------------------------------------------------------------------------------------------------------------------------

const utc = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

function offset(zone, ms) {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
  }).formatToParts(ms);
  const at = Object.fromEntries(parts.map((part) => [part.type, +part.value]));
  return Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute, at.second) - Math.floor(ms / 1000) * 1000;
}

// A reading of the clock in a zone as an instant: of two the first, and one that is skipped is moved on.
function inZone(wall, zone) {
  const before = offset(zone, wall - 86400e3), after = offset(zone, wall + 86400e3);
  const fits = [...new Set([before, after])].map((o) => wall - o).filter((ms) => offset(zone, ms) === wall - ms);
  return fits.length ? Math.min(...fits) : wall - before;
}

function local(ms, zone) {
  return new Date(ms + offset(zone, ms)).toISOString().slice(0, 16).replace('T', ' ');
}

// The instant of an expression, all of which must be understood; null otherwise. `reference` is what bare times count from.
function instant(text, conf, reference) {
  const clock = '(\\d{1,2}):(\\d{2})(?::(\\d{2})(?:\\.\\d+)?)?', zone = '\\s*(Z|UTC|[+-]\\d{2}:?\\d{2}|CES?T|[A-Z][a-z]+/[A-Za-z_/]+)?';
  const words = text.trim();
  let m, day, rest;
  if ((m = words.match(new RegExp(`^(\\d{4})([-/])(\\d{2})\\2(\\d{2})(?:[T ]${clock}${zone})?$`, 'i')))) [day, rest] = [[+m[1], +m[3], +m[4]], m.slice(5)];
  else if ((m = words.match(new RegExp(`^(\\d{1,2})\\.(\\d{1,2})\\.(\\d{4})(?:,? ${clock}${zone})?$`, 'i')))) [day, rest] = [[+m[3], +m[2], +m[1]], m.slice(4)];
  else if ((m = words.match(new RegExp(`^${clock}${zone}$`, 'i')))) [day, rest] = [null, m.slice(1)];
  else return null;
  const [hour, minute, second] = rest.slice(0, 3).map((n) => +(n ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return null;
  const named = rest[3];
  const place = (year, month, date) => {
    const wall = Date.UTC(year, month - 1, date, hour, minute, second);
    if (!named || named.includes('/')) return inZone(wall, named ?? conf.zone);
    const fixed = { Z: 0, UTC: 0, CET: 60, CEST: 120 }[named.toUpperCase()];
    if (fixed !== undefined) return wall - fixed * 60e3;
    const [, sign, h, min] = named.match(/([+-])(\d{2}):?(\d{2})/);
    return wall - (sign === '-' ? -1 : 1) * (h * 60 + +min) * 60e3;
  };
  if (day) {
    const real = new Date(Date.UTC(day[0], day[1] - 1, day[2]));
    return real.getUTCMonth() === day[1] - 1 && real.getUTCDate() === day[2] ? place(...day) : null;
  }
  const [y, mo, d] = local(reference - 86400e3, conf.zone).slice(0, 10).split('-').map(Number);
  for (let n = 0; n < 4; n++) if (place(y, mo, d + n) >= reference - 3600e3) return place(y, mo, d + n);
  return null;
}

// ---- states -----------------------------------------------------------------------------------------------------------------------------

function stateWords(more) {
  const built = {
    backlog: 'backlog|todo|open|new|ready|pending|queued|planned|not started|reopened|offen|neu|geplant|noch nicht begonnen',
    in_progress: 'in progress|wip|work in progress|started|working|active|doing|ongoing|running|underway|claimed|acknowledged|resumed|in development|unblocked|in arbeit|in bearbeitung|begonnen|läuft',
    review: 'review|in review|ready for review|needs review|under review|awaiting review|pending review|zur prüfung|in prüfung|zur abnahme',
    done: 'done|complete|completed|finished|closed|resolved|fixed|shipped|merged|delivered|successful|erledigt|fertig|abgeschlossen|behoben|✅|✔|☑|✓',
    blocked: 'blocked|stuck|waiting|on hold|paused|blockiert|wartet|pausiert',
    failed: 'failed|failure|error|errored|crashed|fehlgeschlagen|gescheitert|❌|✗|✖',
    dead: 'dead|dead letter',
    cancelled: 'cancelled|canceled|abandoned|dropped|obsolete|won\'t fix|won\'t do|aborted|duplicate|abgebrochen|verworfen',
  };
  const words = [['🚧', 'in_progress'], ['🔄', 'in_progress']];
  for (const [state, text] of Object.entries(built)) for (const word of [...text.split('|'), ...list(more[state])]) words.push([word.toLowerCase(), state]);
  return words.sort((a, b) => b[0].length - a[0].length);
}

// Words around which nothing changes: decoration, and behind a mark the words that say the same.
const plain = (text) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[*“”"]|(?<!\w)_|_(?!\w)/g, '').replace(/’/g, "'").replace(/\uFE0F/g, '').trim();

function leading(text, states) {
  const lower = text.toLowerCase().replace(/(?<=\p{L})[_-](?=\p{L})/gu, ' ');
  for (const [word, state] of states) {
    if (lower.startsWith(word) && !/^[\p{L}\p{N}]/u.test(/[\p{L}]$/u.test(word) ? lower.slice(word.length) : '')) return [state, text.slice(word.length).trim()];
  }
  return null;
}

const OK_REST = /^(?:(?:by|at|since|on|in|successfully|see)\b|& tested|and tested|[-–—(]|https?:)/i;
const NO_END = /\b(?:not|except|but|almost|half|part|pending|once|when|will|still)\b|\?|\d\s*%|\d+\s*\/\s*\d|\b\d+ of \d/i;

// One of {state, reason}, {unclear: true} or null for nothing. Behind an id and in a heading, words that name no state are a title; in a
// heading nothing may stand behind the state.
function statement(raw, conf, place) {
  const text = plain(raw).replace(/[.!]+$/, '');
  if (!text) return null;
  let [state, rest] = leading(text, conf.states) ?? [null, ''];
  if (state === null) return place === 'label' ? { unclear: true } : null;
  const again = leading(rest, conf.states); // a mark and the word that it means: ✅ Done
  if (again && again[0] === state) rest = again[1];
  const eta = rest.match(/^[,;(]?\s*(?:eta|estimated done)\s+(.*?)\)?$/i);
  if (eta) return { state, eta: eta[1] };
  const behind = rest.replace(/^[\s:,;–—-]+/, '');
  if (!behind) return { state };
  if (place === 'heading') return OK_REST.test(behind) && !NO_END.test(behind) && state === 'done' ? { state } : null;
  const parts = rest.split(/[|,;:]|\s[-–—]\s/).map((part) => part.trim()).filter(Boolean);
  if (state === 'done' && /^(?:(?:and )?(?:is )?(?:waiting for|awaiting|pending|needs) review|pr in review|in review)$/i.test(behind)) return { state: 'review' };
  if (rest.includes('|') || parts.some((part) => (leading(part, conf.states) ?? [state])[0] !== state)) return { unclear: true };
  if (['blocked', 'failed', 'cancelled'].includes(state)) {
    if (/\bwill\b|\bretry/i.test(behind)) return { unclear: true };
    return { state, reason: behind.replace(/^(?:on|by|because of)\s+/i, '') };
  }
  if (state === 'in_progress') return { state };
  if (NO_END.test(behind)) return { unclear: true };
  return OK_REST.test(rest) || (state === 'done' && /^[:,;&(–—-]/.test(rest)) ? { state } : { unclear: true };
}

// ---- status files -----------------------------------------------------------------------------------------------------------------------

const SILENT = /^(?:plan|steps?|to ?do|next|checklist|acceptance|criteria|requirements?|examples?|template|old|previous|earlier)\b|^(?:step|phase)\s+\d|^\d+[.)]?\s/i;
const STATUS_LABEL = /^(?:(?:current|task|final|overall|latest|new|job|work|my)\s+)?(?:status|state)$|^(?:aktueller\s+)?(?:stand|zustand|status)$/i;
const ID = '[A-Za-z0-9][\\w.-]{0,63}?';
const withoutMark = (line) => line.replace(/^\uFEFF/, '').replace(/\r$/, '');

// The lines that count, each [number, text]: those in fences and comments are left out, and comments inside of a line are taken out.
function counting(lines, start) {
  const found = [];
  let fence = null, comment = false;
  for (let n = start; n < lines.length; n++) {
    let line = withoutMark(lines[n]);
    if (comment) {
      const end = line.indexOf('-->');
      if (end < 0) continue;
      comment = false;
      line = line.slice(end + 3);
    }
    const mark = line.match(/^\s{0,3}(`{3,}|~{3,})/);
    if (fence) {
      if (mark && mark[1][0] === fence[0] && mark[1].length >= fence.length) fence = null;
      continue;
    }
    if (mark) {
      fence = mark[1];
      continue;
    }
    line = line.replace(/<!--.*?-->/g, '');
    if (line.includes('<!--')) {
      comment = true;
      line = line.slice(0, line.indexOf('<!--'));
    }
    if (line.length <= 2000) found.push([n, line]);
  }
  return found;
}

// What the body says: its statements in order, title, and the lines that are read by their names.
function body(task, fm, conf) {
  const said = [], facts = { said };
  const add = (found) => found && said.push(found);
  const own = new RegExp(`^${task.replaceAll('.', '\\.')}(?=$|[\\s:=→–—])`, 'i'), other = new RegExp(`^${conf.prefix}-\\S*\\d`, 'i');
  let silent = false, inStatus = false, inList = false;
  const lines = counting(fm.lines, fm.start);
  const text = lines.filter(([, line]) => line.trim());
  for (const [n, raw] of lines) {
    if (!raw.trim()) continue;
    const wasList = inList;
    inList = /^\s*(?:[-*+]|\d+[.)])\s/.test(raw) || (inList && /^\s/.test(raw));
    if (/^(?: {4}|\t)/.test(raw) && !wasList) continue;
    if (/^\s*>/.test(raw) || /^\s*(?:[-*+]|\d+[.)])\s+\[ ?\]/.test(raw)) continue;
    let line = raw.replace(/`[^`]*`/g, '').replace(/~~.*?~~/g, '').trim();
    const heading = line.match(/^#{1,6}\s+(.*?)\s*#*$/);
    if (heading) {
      const words = plain(heading[1]), mine = own.exec(words);
      silent = SILENT.test(words) || (!mine && other.test(words));
      inStatus = STATUS_LABEL.test(words.replace(/:$/, ''));
      if (silent || inStatus) continue;
      const label = words.match(/^\W*(?:status|state)\s*[:=]\s*(.+)$/iu);
      if (label) {
        add(statement(label[1], conf, 'label'));
        continue;
      }
      let title = words.slice(mine ? mine[0].length : 0).replace(/^\s*[:=–—-]\s*/, '');
      const dash = title.match(/^(.*)\s[-–—]\s+(.*)$/);
      let state = statement(title, conf, 'heading');
      if (state) title = state.reason ?? '';
      else if (dash && (state = statement(dash[2], conf, 'heading'))) title = dash[1];
      add(mine || facts.title === undefined ? state : null);
      facts.title ??= title.trim();
      continue;
    }
    if (silent) continue;
    const row = line.match(/^\|(.*)\|$/);
    if (row) {
      const cells = row[1].split('|').map(plain);
      if (cells.length === 2) line = `${cells[0]}: ${cells[1]}`;
      else continue;
    }
    line = plain(line.replace(/^(?:[-*+]|\d+[.)])\s+/, ''));
    const ticked = line.match(/^\[([xX/])\]\s+(.*)$/);
    if (ticked) {
      if (own.test(plain(ticked[2]))) add({ state: ticked[1] === '/' ? 'in_progress' : 'done' });
      continue;
    }
    const mine = own.exec(line);
    if (mine) {
      const rest = line.slice(mine[0].length).replace(/^\s*(?:[:=→–—]|-\s|is\b)\s*/, '');
      add(statement(rest, conf, 'id'));
      continue;
    }
    if (other.test(line)) continue;
    if (inStatus) {
      inStatus = false;
      add(statement(line, conf, 'label'));
      continue;
    }
    line = line.replace(/^\[?\d{1,2}:\d{2}(?::\d{2})?\]?\s+(?=\D)/, '');
    const label = line.match(/^([\p{L}_ ]{2,30}?)\s*(?:[:=→–—]|\s-\s|\sis\s)\s*(.+)$/u);
    if (label && STATUS_LABEL.test(label[1])) add(statement(label[2], conf, 'label'));
    else if (label && /^(?:eta|estimated)$/i.test(label[1])) facts.eta = label[2];
    else if (label && /^(?:assignee|owner)$/i.test(label[1])) facts.assignee = label[2];
    else if (label && /^reason$/i.test(label[1])) facts.reason = label[2];
    else if (n === text[0]?.[0] || n === text.at(-1)?.[0]) {
      const alone = leading(line.replace(/[.!]+$/, ''), conf.states);
      if (alone && !alone[1]) add({ state: alone[0] });
    }
  }
  return facts;
}

// What a hand may change the recorded state to; nothing else is carried out, and `recorded` stays in force.
const ANY = ['backlog', 'in_progress', 'review', 'done', 'blocked', 'failed', 'cancelled'];
const BY_HAND = { backlog: ANY, in_progress: ANY, blocked: ANY, review: ['cancelled'], failed: ['blocked'], done: [], dead: [], cancelled: [] };

function findTask(conf, task) {
  const folders = ['status', 'dead-letter'];
  try {
    folders.push(...fs.readdirSync(path.join(conf.root, 'status/archive')).map((month) => `status/archive/${month}`));
  } catch {} // nothing was archived
  for (const folder of folders) {
    let names = [];
    try {
      names = fs.readdirSync(path.join(conf.root, folder));
    } catch {
      continue;
    }
    const name = `${task.toLowerCase()}.md`;
    const found = names.includes(name) ? name : names.find((other) => other.toLowerCase() === name);
    if (found) return path.join(conf.root, folder, found);
  }
  throw new Refused('not-found', `there is no task ${task}`);
}

function parseTask(conf, task, source) {
  const text = source.text;
  const lines = text.split('\n').map(withoutMark);
  if (['<<<<<<<', '=======', '>>>>>>>'].every((mark) => lines.some((line) => line.startsWith(mark)))) throw new Refused('conflict-markers');
  const fm = frontMatter(text);
  const get = (key) => one(value(fm, key));
  const id = get('id');
  if (id !== undefined && String(id).toUpperCase() !== task) throw new Refused('invalid-file', `the id is ${id}`);
  const number = (key, otherwise) => {
    const found = get(key);
    if (found === undefined) return otherwise;
    if (!/^\d{1,9}$/.test(found)) throw new Refused('invalid-file', `${key} is no number`);
    return +found;
  };
  const recorded = get('recorded');
  if (recorded !== undefined && !(recorded in BY_HAND)) throw new Refused('invalid-file', 'recorded is no state');
  let unclear = false;
  const told = body(task, fm, conf);
  const written = get('status') === undefined ? null : statement(String(get('status')), conf, 'label');
  if (written?.unclear) unclear = true;
  const status = written?.state, clear = told.said.filter((found) => found.state), last = clear.at(-1);
  const [word, times] = String(get('said') ?? '').match(/^(\w+)(?: done)?(?: x(\d+))?/)?.slice(1) ?? [];
  const saidState = word === 'unclear' ? undefined : word;
  const repeated = last && clear.filter((found) => found.state === last.state).length > +(times ?? 1);
  const news = last && (last.state !== saidState || (repeated && ['backlog', 'in_progress', 'blocked'].includes(recorded)));
  let state;
  if (recorded !== undefined && status !== undefined && status !== recorded) state = status;
  else if (news) state = last.state;
  else state = status ?? last?.state ?? recorded ?? 'backlog';
  const tail = told.said.lastIndexOf(last);
  if (told.said.some((found, n) => found.unclear && (n > tail || !news))) unclear = true;
  if (recorded !== undefined && state !== recorded && !BY_HAND[recorded].includes(state)) state = recorded;
  const agent = (found) => {
    const name = String(one(found) ?? '').replace(/^@/, '').toLowerCase();
    if (Array.isArray(found) && found.length > 1) unclear = true;
    return /^[a-z0-9][\w.-]{0,63}$/.test(name) && !(Array.isArray(found) && found.length > 1) ? name : null;
  };
  const time = (found) => {
    if (found === undefined) return null;
    const ms = instant(String(found), conf, source.mtime);
    if (ms === null) unclear = true;
    return ms === null ? null : utc(ms);
  };
  const before = list(value(fm, 'after')).map((name) => String(name).toUpperCase());
  return {
    id: task, title: String(get('title') ?? told.title ?? ''), state, assignee: agent(value(fm, 'assignee') ?? told.assignee),
    generation: number('generation', 0), attempt: number('attempt', 1), type: get('type') ?? null, after: before,
    eta: time(get('eta') ?? last?.eta ?? told.eta), reason: get('reason') ?? last?.reason ?? told.reason ?? null, verified: time(get('verified')),
    outputs: list(value(fm, 'outputs')), recorded: recorded ?? null, body: last?.state ?? null, said: saidState ?? null, unclear,
  };
}

function load(conf, task) {
  const source = readText(findTask(conf, task));
  return [parseTask(conf, task, source), source];
}

// ---- ledger -----------------------------------------------------------------------------------------------------------------------------

function entries(conf, text, reference) {
  const found = [];
  const id = new RegExp(`^(?:\\[\\[(${ID})\\]\\]|\\[(${ID})\\]\\([^)]*\\)|(${ID}))(?![\\w-])`);
  const known = (name) => {
    if (new RegExp(`^${conf.prefix}-[\\w-]*\\d`, 'i').test(name)) return true;
    try {
      return !!findTask(conf, name);
    } catch {
      return false;
    }
  };
  for (const [n, raw] of counting(text.split('\n'), 0)) {
    let line = raw.trim().replace(/^(?:[-*+]|\d+[.)])\s+/, '');
    const box = line.match(/^\[(.?)\](?=\s)\s*/u);
    if (box) line = line.slice(box[0].length);
    if (box?.[1] === '-' || line.startsWith('~~')) continue;
    line = line.replaceAll('**', '');
    const head = id.exec(line), task = (head?.[1] ?? head?.[2] ?? head?.[3])?.replace(/\.$/, '');
    if (!task || !known(task)) continue;
    const rest = line.slice(head[0].length);
    const who = rest.match(/^\s*(?:delegated to|→|->)\s*@?([\w.-]*\w)(?:\s+for\s+@?([\w.-]*\w))?/i) ?? rest.match(/^:\s*@?([\w.-]*\w)\s*(?=,)/);
    const when = rest.match(/(wait until|check(?: at)?)\s+(\d[^()]*?)(?:\s+-\s.*)?\)?\s*$/i);
    if (!who && !/wait until|check/i.test(rest)) continue;
    const at = when && instant(when[2], conf, reference);
    found.push({
      task: task.toUpperCase(), agent: who?.[1].toLowerCase() ?? null, spawner: who?.[2]?.toLowerCase() ?? null,
      at: at === null || at === undefined ? null : utc(at), ticked: !!box && /^[xX✓✔✅]$/u.test(box[1]), line: n,
    });
  }
  return found;
}

const ledger = (conf) => {
  const source = readText(conf.ledger);
  return source ? entries(conf, source.text, source.mtime) : [];
};

// ---- inbox ------------------------------------------------------------------------------------------------------------------------------

const KINDS = ['task', 'question', 'answer', 'steer', 'announce', 'ping'];

function inbox(conf, agent) {
  const found = [];
  for (const box of ['new', 'cur', 'done']) {
    const folder = path.join(conf.root, 'inbox', agent.toLowerCase(), box);
    let names = [];
    try {
      names = fs.readdirSync(folder).filter((name) => !name.startsWith('.') && name.endsWith('.md')).sort();
    } catch {} // no message yet
    for (const name of names) {
      try {
        const source = readText(path.join(folder, name)), fm = frontMatter(source.text), get = (key) => one(value(fm, key));
        if (!['id', 'key', 'kind', 'from', 'to'].every((key) => get(key) !== undefined) || !KINDS.includes(get('kind'))) continue;
        const ackBy = get('ack_by') && instant(get('ack_by'), conf, source.mtime);
        found.push({
          id: name.slice(0, -3), key: get('key'), kind: get('kind'), from: get('from').toLowerCase(), to: agent.toLowerCase(),
          task: get('task')?.toUpperCase() ?? null, generation: get('generation') ? +get('generation') : null,
          attempt: get('attempt') ? +get('attempt') : null, sends: +(get('sends') ?? 1), ack_by: ackBy ? utc(ackBy) : null, box,
        });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    }
  }
  return found;
}

// ---- writing ----------------------------------------------------------------------------------------------------------------------------

// Hold the lock of a folder, by a child, while `work` runs.
async function locked(folder, work) {
  if (NO_FLOCK) return work();
  fs.mkdirSync(folder, { recursive: true });
  const child = spawn('flock', ['-x', folder, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.on('error', reject);
    ended.then(() => reject(new Error('flock ended')));
  });
  try {
    return work();
  } finally {
    child.stdin.end();
    await ended;
  }
}

function syncFolder(folder) {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

// Steps 1 to 5 of replacing a file. `edit` makes the new text of the read one (null where there is no file); null changes nothing.
async function replace(file, edit) {
  const folder = path.dirname(file);
  for (;;) {
    const source = readText(file);
    const text = edit(source);
    if (text === null || text === source?.text) return false;
    const temporary = path.join(folder, `.${path.basename(file)}.${randomBytes(4).toString('hex')}.tmp`);
    const fd = fs.openSync(temporary, 'wx', source?.mode ?? 0o644);
    try {
      fs.writeFileSync(fd, text);
      if (source) fs.fchmodSync(fd, source.mode);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    const renamed = await locked(folder, () => {
      let now = null;
      try {
        now = fs.readFileSync(file, 'utf8');
      } catch {} // not there, as before or as if it had changed
      if (now !== (source?.text ?? null)) {
        fs.unlinkSync(temporary);
        return false;
      }
      fs.renameSync(temporary, file);
      syncFolder(folder);
      return true;
    });
    if (renamed) return true;
  }
}

// One line at the end of a file that only grows. A line that a crash tore off is marked as such.
function append(file, line, mode) {
  const fd = fs.openSync(file, 'a+', mode);
  try {
    const { size } = fs.fstatSync(fd), last = Buffer.alloc(1);
    if (size) fs.readSync(fd, last, 0, 1, size - 1);
    fs.writeSync(fd, (size && last[0] !== 10 ? ' - cut off -\n' : '') + line + '\n');
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function journal(conf, action, task, agent, why) {
  const now = utc(Date.now()), folder = path.join(conf.root, 'audit');
  fs.mkdirSync(folder, { recursive: true });
  const line = { timestamp: now, action, task, agent, parent_agent: null, model: null, key: null, why, actor: agent, epoch: null };
  append(path.join(folder, `${now.slice(0, 10)}.jsonl`), JSON.stringify(line), 0o644);
}

// ---- the generation ---------------------------------------------------------------------------------------------------------------------

function claimLog(conf, task) {
  const file = path.join(conf.root, '.clawfiles/claims', `${task.toLowerCase()}.log`);
  let text = '', mtime = 0;
  try {
    text = fs.readFileSync(file, 'utf8');
    mtime = fs.statSync(file).mtimeMs;
  } catch {} // nobody has claimed it yet
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n'); // a line without its line break says nothing
  const lines = [];
  for (const line of whole) {
    const m = line.match(/^(\d{1,9}) (?:(for) (\S+)|(by|taken) (\S+) (\S+)|(written))$/);
    if (m) lines.push({ n: +m[1], word: m[2] ?? m[4] ?? m[7], agent: m[3] ?? m[5], nonce: m[6] });
  }
  return { file, lines, young: Date.now() - mtime < 60e3, highest: Math.max(0, ...lines.map((line) => line.n)) };
}

// The line that holds number `n`: the first `by` or `taken`, but for a `taken` of an agent for whom it was not kept.
function winner(log, n) {
  let kept = null;
  for (const line of log.lines) {
    if (line.n !== n) continue;
    if (line.word === 'for') kept ??= line.agent;
    else if (line.word === 'by' || (line.word === 'taken' && (kept === null || kept === line.agent))) return line;
  }
  return null;
}

const spent = (log, n) => log.lines.some((line) => line.n === n && line.word === 'written');

function nextGeneration(conf, task, facts, agent) {
  const log = claimLog(conf, task);
  let sent = 0, mine = 0;
  for (const name of new Set([agent, facts.assignee ?? agent, ...conf.agents])) {
    for (const message of inbox(conf, name)) {
      if (message.task !== task || message.kind !== 'task' || message.generation === null) continue;
      sent = Math.max(sent, message.generation);
      if (name === agent) mine = Math.max(mine, message.generation);
    }
  }
  const highest = Math.max(facts.generation, log.highest, sent);
  const forMe = mine === highest || log.lines.some((line) => line.n === highest && line.word === 'for' && line.agent === agent);
  const reserved = highest > 0 && facts.assignee === agent && forMe && !spent(log, highest);
  const n = reserved ? highest : highest + 1;
  if (facts.assignee === agent && forMe && spent(log, highest)) throw new Refused('already-claimed', 'the file is an old copy');
  const being = log.highest;
  if (being && winner(log, being) && !spent(log, being) && log.young) throw new Refused('already-claimed', `${being} is being taken`);
  return reserved && winner(log, n) ? highest + 1 : n; // taken more than a minute ago, and never written
}

// ---- claiming ---------------------------------------------------------------------------------------------------------------------------

const DEFINING = 'title requested_by followers type priority estimate after parent outputs attempts created label size timeout spawner model cwd sandbox group group_size session'.split(' ');

function definition(conf, task) {
  for (const folder of ['definitions', 'definitions/archive']) {
    const file = path.join(conf.root, folder, `${task.toLowerCase()}.md`);
    if (fs.existsSync(file)) return readText(file);
  }
  return null;
}

// Before a task is claimed its definition must be there, and say what the status file of a task that was never given away says.
async function define(conf, task, facts, source) {
  const file = path.join(conf.root, 'definitions', `${task.toLowerCase()}.md`), fm = frontMatter(source.text), old = definition(conf, task);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const lines = (key) => fm.lines.slice(...fm.spans[fm.names[key]]).map((line) => line.replace(/\r$/, '')).join('\n').replace(/^[^:]*:\s*/, '');
  const changes = {};
  for (const key of DEFINING) {
    const name = [key, ...(SYNONYMS[key] ?? [])].find((other) => other in fm.names);
    if (name && value(fm, key) !== undefined) changes[key] = lines(name);
  }
  if (!changes.title && facts.title) changes.title = quoted(facts.title);
  if (old) {
    if (old.mtime >= source.mtime || facts.generation > 0) return;
    const there = frontMatter(old.text);
    for (const key of Object.keys(changes)) if (String(value(there, key)) === String(value(fm, key) ?? facts[key])) delete changes[key];
    if (Object.keys(changes).length) await replace(old.file, (now) => setKeys(now.text, changes));
    return;
  }
  const rest = fm.lines.slice(fm.start).map(withoutMark).join('\n').replace(/^\n*#\s.*\n+/, '');
  await replace(file, (now) => (now ? null : setKeys(rest, { id: task, ...changes })));
}

function free(conf, facts, agent) {
  const { id, state, assignee } = facts;
  if (state === 'in_progress') throw new Refused('already-claimed', `${id} is in progress`);
  if (assignee && assignee !== agent) throw new Refused('not-yours', `${id} is ${assignee}'s`);
  if (state !== 'backlog') throw new Refused('move-refused', `${id} is ${state}`);
  const terms = facts.generation > 0 ? definition(conf, id) : null; // once it was given away, the definition binds
  const before = terms ? list(value(frontMatter(terms.text), 'after')).map((name) => name.toUpperCase()) : facts.after;
  for (const name of before) {
    let other = null;
    try {
      [other] = load(conf, name);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
    const checked = other && (other.outputs.length || list(conf.tables[`routes.${other.type}`]?.verify).length);
    if (other?.state !== 'done' || (checked && !other.verified)) throw new Refused('refused', `${id} comes after ${name}`);
  }
}

// Writes the ledger line; says which, or null where there is one that names the claimant. Without a lock the ledger is not edited.
async function watch(conf, task, agent) {
  if (NO_FLOCK) return null;
  const line = `- ${task} delegated to ${agent}, check at ${local(Date.now() + conf.check * 60e3, conf.zone)}`;
  const wrote = await replace(conf.ledger, (source) => {
    if (!source) return `## Delegations\n${line}\n`;
    if (entries(conf, source.text, source.mtime).some((entry) => entry.task === task && entry.agent === agent && !entry.ticked)) return null;
    const eol = source.text.includes('\r\n') ? '\r\n' : '\n';
    const lines = source.text.split('\n'), head = lines.findIndex((one) => /^## Delegations\s*$/.test(one));
    if (head < 0) return `${source.text}${source.text.endsWith('\n') ? '' : eol}${eol}## Delegations${eol}${line}${eol}`;
    let end = head + 1;
    while (end < lines.length && /^\s*(?:[-*+]\s|$)/.test(lines[end])) end++;
    while (end > head + 1 && !lines[end - 1].trim()) end--;
    if (end === lines.length) lines.push('');
    lines.splice(end, 0, line + eol.slice(0, -1));
    return lines.join('\n');
  });
  return wrote ? line : null;
}

async function unwatch(conf, line) {
  if (line === null) return;
  await replace(conf.ledger, (source) => {
    if (!source) return null;
    const lines = source.text.split('\n'), at = lines.findIndex((one) => withoutMark(one) === line);
    if (at < 0) return null; // somebody has changed it since: it is no longer ours
    lines.splice(at, 1);
    return lines.join('\n') || '\n';
  });
}

// A body that gave a state before anything was recorded is no news any more, once `status` is written.
const heardBefore = ({ recorded, said, body }) => (recorded === null && said === null && body !== null ? { said: body } : {});

async function claim(conf, task, agent) {
  const [facts, source] = load(conf, task); // 1
  free(conf, facts, agent);
  const n = nextGeneration(conf, task, facts, agent); // 2
  await define(conf, task, facts, source); // 3
  const line = await watch(conf, task, agent); // 4
  const nonce = randomBytes(6).toString('hex'), { file } = claimLog(conf, task);
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  append(file, `${n} taken ${agent} ${nonce}`, 0o600); // 5
  const lost = async (won) => {
    if (won?.agent !== agent) await unwatch(conf, line); // another process of the same agent may count on this line
    throw new Refused('already-claimed', `${task} was claimed by ${won?.agent ?? 'somebody else'}`);
  };
  const first = winner(claimLog(conf, task), n); // 6
  if (first?.nonce !== nonce) await lost(first);
  let why = null;
  await replace(source.file, (now) => { // 7
    const log = claimLog(conf, task);
    if (log.highest > n) return (why = winner(log, log.highest) ?? {}), null;
    try {
      const again = parseTask(conf, task, now);
      free(conf, again, agent);
      if (again.generation > n) return (why = {}), null;
      const changes = { id: task, status: 'in_progress', assignee: agent, generation: n, lease: utc(Date.now() + conf.lease * 60e3), updated: utc(Date.now()), ...heardBefore(again) };
      return setKeys(now.text, changes);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return (why = {}), null;
    }
  });
  if (why) await lost(why);
  append(file, `${n} written`, 0o600); // 8
  journal(conf, 'claim', task, agent, `generation ${n}`);
  return { task, agent, generation: n };
}

async function done(conf, task, agent, generation, summary) {
  let state;
  const [, source] = load(conf, task);
  await replace(source.file, (now) => {
    const facts = parseTask(conf, task, now);
    if (facts.assignee !== agent) throw new Refused('not-yours', `${task} is ${facts.assignee ?? 'nobody'}'s`);
    if (generation !== undefined && facts.generation !== generation) throw new Refused('stale-generation', `it is ${facts.generation} now`);
    if (!['in_progress', 'blocked'].includes(facts.state)) throw new Refused('move-refused', `${task} is ${facts.state}`);
    const time = utc(Date.now()), text = (summary ?? '').replace(/\s+/g, ' ').trim();
    state = 'done';
    return setKeys(now.text, { status: state, ...(text && { summary: quoted(text.slice(0, 1000)) }), completed: time, updated: time, ...heardBefore(facts) });
  });
  journal(conf, 'done', task, agent, summary || 'done');
  return { task, state };
}

async function race(conf, agent, most) {
  const names = fs.readdirSync(path.join(conf.root, 'status')).filter((name) => /^[^.].*\.md$/.test(name));
  const tasks = names.map((name) => name.slice(0, -3).toUpperCase()).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  if (process.env.CLAWFILES_LAST_FIRST === '1') tasks.reverse();
  let won = 0;
  for (const task of tasks) {
    if (won === most) return;
    try {
      const [facts] = load(conf, task);
      if (facts.state !== 'backlog' || (facts.assignee ?? agent) !== agent) continue;
      console.log(JSON.stringify(await claim(conf, task, agent)));
      won++;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
}

// ---- commands ---------------------------------------------------------------------------------------------------------------------------

async function answer(root, command, word, more) {
  try {
    const conf = settings(root);
    if (command === 'task') return load(conf, word.toUpperCase())[0];
    if (command === 'ledger') return ledger(conf);
    if (command === 'inbox') return inbox(conf, word);
    if (command === 'race') return await race(conf, word.toLowerCase(), +(more ?? Infinity));
    const step = JSON.parse(word), agent = step.agent.toLowerCase();
    if (step.claim) return await claim(conf, step.claim.toUpperCase(), agent);
    return await done(conf, step.done.toUpperCase(), agent, step.generation, step.summary);
  } catch (error) {
    if (error instanceof Refused) return { error: error.code, message: error.message };
    throw error;
  }
}

if (process.argv[2] === '-') {
  for await (const line of readline.createInterface({ input: process.stdin })) console.log(JSON.stringify((await answer(...JSON.parse(line))) ?? null));
} else {
  const found = await answer(...process.argv.slice(2));
  if (found !== undefined) console.log(JSON.stringify(found));
}
