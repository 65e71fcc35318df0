// Calls of every shape, each of which makes one traced system call and writes down its own stack trace at that very place.
//
//     node shapes.js OUT ROUNDS
//
// access(2) of "/rille-node/N" is the call, N its number. OUT gets a line a call: N, then the lines of Error.stack, as JSON. The
// functions run often enough to be interpreted, compiled by the baseline compiler and optimised with their callees inlined.
'use strict'
const fs = require('fs')
const path = require('path')
Error.stackTraceLimit = Infinity

const out = fs.openSync(process.argv[2], 'w')
const rounds = Number(process.argv[3] || 3)
let number = 0
let quiet = false
const lines = []

// Frames hold addresses of objects that the collector moves: the tracer is given a moment to look.
const moment = new Int32Array(new SharedArrayBuffer(4))

function record(stack, n) {
  lines.push(JSON.stringify({ n, stack: stack.split('\n').slice(1) }))
}

function probe(shape) {
  if (quiet) return 0
  const n = ++number
  try { record(new Error().stack, n); fs.accessSync('/rille-node/' + n) } catch (e) { if (e.code !== 'ENOENT') throw e }
  Atomics.wait(moment, 0, 0, 4)
  return n
}

// recursion
function depth(n) {
  return n === 0 ? probe('depth') : depth(n - 1) + 1
}

// arrow functions and closures
const arrow = (x) => probe('arrow') + x
const outer = (a) => {
  const inner = (b) =>
    arrow(a + b)
  return inner(1)
}

class Base {
  constructor(x) {
    this.x = x
    this.made = probe('constructor')
  }
  method(y) {
    return probe('method') + y
  }
  static fixed() {
    return probe('static')
  }
  get value() {
    return probe('getter')
  }
}

class Derived extends Base {
  constructor(x) {
    super(x + 1)
    this.more = 1
  }
  method(y) {
    return super.method(y) * 2
  }
}

// a chain that is optimised with all its links inlined
function link3(i) {
  return probe('chain') + i
}
function link2(i) {
  const x = i + 1
  return link3(x)
}
function link1(i) {
  return link2(i) + 1
}
function chain(i) {
  return link1(i) + link1(i + 1)
}

function* generator() {
  yield probe('generator')
  yield* [1, 2].map((x) => x + probe('in map'))
}

const shapes = [
  () => depth(7),
  () => outer(3),
  () => new Derived(1),
  () => new Base(2).method(1),
  () => new Derived(2).method(3),
  () => Base.fixed(),
  () => new Base(1).value,
  () => chain(1),
  () => [...generator()].length,
  () => [3, 1, 2].sort((a, b) => { probe('sort'); return a - b }),
  () => 'a-b'.replace(/-/, () => String(probe('replace'))),
  () => JSON.parse('[1]', (k, v) => { probe('reviver'); return v }),
  () => Reflect.apply(arrow, null, [1]),
  () => arrow.bind(null)(2),
  () => [1].forEach(function named() { probe('forEach') }),
  () => { try { throw new Error('x') } catch (e) { return probe('catch') } finally { probe('finally') } },
  () => eval('probe("eval")'),
  () => new Function('p', 'return p("function")')(probe),
  () => path.join('a', { toString() { return 'b' } }.toString()) && probe('after'),
]

function all() {
  for (const shape of shapes) shape()
}

async function later(n) {
  await null
  probe('await')
  return n
}

function warm(times) {
  quiet = true
  for (let i = 0; i < times; i++) {
    chain(i)
    depth(5)
    outer(i)
    new Derived(i).method(i)
  }
  quiet = false
}

function finish() {
  fs.writeSync(out, lines.join('\n') + '\n')
  setTimeout(process.exit, 500, 0)
}

function tick(round) {
  all()
  warm(round === 0 ? 200 : 20000)
  all()
  Promise.resolve(1).then(function then() { probe('then') }).then(() => later(1)).then(() => {
    process.nextTick(() => { probe('nextTick') })
    setImmediate(() => {
      probe('immediate')
      if (round + 1 < rounds) setTimeout(() => tick(round + 1), 1)
      else finish()
    })
  })
}

// told to go once the tracer is attached
process.stdin.once('data', () => tick(0))
process.stdout.write('ready\n')
