---@meta
-- luacheck: ignore
-- Types of the script language, for the Lua language server: put this file into its workspace library.
-- docs/script.md says what everything means.

---@class rille
---@field version string
rille = {}

---A constant of the kernel's or the C library's headers: `rille.constant("AF_UNIX")` is 1.
---@param name string
---@return integer?
function rille.constant(name) end

---A number as a field with that `as` is shown.
---@param value integer
---@param as string a prefix of constants ("AF_"), or "hex", "octal", "ns", "bytes", "errno", "ip"
---@return string
function rille.format(value, as) end

---@param nsecs integer ns since 1970, as in `ev.time`
---@return string # "2026-11-23T20:33:37.123456789Z"
function rille.time(nsecs) end

---@class rille.u64
---@operator concat(any): string

---Shows an integer above 2^63 as what it is, in text and in rows; compares as unsigned.
---@param n integer
---@return rille.u64
function rille.u64(n) end

---A frame in one line: "leaf+0x12 (prog) pair.c:7".
---@param frame rille.frame
---@return string
function rille.frame(frame) end

---The names of a stack, outermost first, joined by ";".
---@param stack rille.frame[]
---@return string
function rille.folded(stack) end

---The n largest of a table of numbers.
---@param counts table<any, number>
---@param n? integer
---@return { [1]: any, [2]: number }[]
function rille.top(counts, n) end

---An entry of `rille.origins`. A pattern is NAME or MODULE!NAME with * and ?.
---@class rille.origin_rule
---@field name string
---@field about string one line: what it is
---@field advice? string one line: what to do about it
---@field crac? string a rule for -Djdk.crac.resource-policies; {path} is filled in
---@field match? (string|string[])[] patterns of frames, or lists of them that have to be found in order from the call outwards
---@field except? string[] patterns of frames that do not count
---@field path? string[] globs of paths and of addresses of Unix sockets
---@field general? boolean only if nothing else matches

---What is known of stacks. Add to it while the script is loaded.
---@type rille.origin_rule[]
rille.origins = {}

---@class rille.origin
---@field name string
---@field about string
---@field advice? string
---@field crac? string
---@field frame? rille.frame that told; nil: it was the path
---@field by? rille.frame the first of the program itself

---What a stack is about; nil if that is not known.
---@param stack? rille.frame[]
---@param path? string of the descriptor, or the address of a Unix socket
---@return rille.origin?
function rille.origin(stack, path) end

---@class rille.frame
---@field kind "kernel"|"native"|"java"|"js"|"python"|"lua"|"stub"|"marker"|"unknown"
---@field name? string
---@field module? string path of the mapped file
---@field offset? integer in the function if it has a name, else in the module
---@field address integer
---@field file? string
---@field line? integer
---@field build_id? string
---@field signature? string
---@field tier? "interp"|"c1"|"c2"|"native"|"baseline"|"maglev"|"turbofan"
---@field inlined? true
---@field how? "fp"|"anchor"|"scan"|"live"|"deopt"|"approx"

---@class rille.stack
---@field [integer] rille.frame
---@field site integer equal for the same creation point

---A socket address; prints as the text output shows it.
---@class rille.address
---@field text string
---@field family? string "AF_INET"
---@field address? string
---@field port? integer
---@field path? string
---@field abstract? string
---@operator concat(any): string

---An event, valid during its callback. A script's fields are reached by name as well.
---@class rille.event
---@field probe string
---@field time integer ns since 1970
---@field nsecs integer CLOCK_MONOTONIC
---@field number integer
---@field pid integer
---@field tid integer
---@field ppid integer
---@field comm string
---@field ustack? rille.stack
---@field kstack? rille.stack
---@field ustack_end? string
---@field kstack_end? string
---@field [string] any
local event = {}

---A plain table with everything, which can be kept.
---@return table
function event:copy() end

---A field as the text output shows it.
---@param name string
---@return string
function event:show(name) end

---@alias rille.cell string|number|boolean|rille.u64|rille.address

---Where callbacks put things.
---@class rille.out
local out = {}

---To every output, as without a callback.
---@param ev rille.event
function out:emit(ev) end

---A row of the script's own: { { name, value }, … } in that order, or { name = value, … } in order of name.
---@param row table<string, rille.cell>|{ [1]: string, [2]: rille.cell }[]
function out:row(row) end

---A line of text.
---@param ... any
function out:print(...) end

---Ends the trace.
---@param reason? string
function out:stop(reason) end

---@class rille.field
---@field [1] string name
---@field [2]? string expression
---@field as? string decoder

---@class rille.stack_options
---@field user? boolean
---@field kernel? boolean
---@field depth? integer
---@field max_bytes? integer
---@field unwind? "auto"

---@class rille.probe
---@field [1] string "syscall:NAME", "tracepoint:CATEGORY:NAME"; with * and ? for many
---@field where? string expression
---@field fields? (string|rille.field)[]
---@field stack? "user"|"kernel"|"both"|rille.stack_options
---@field on_event? fun(ev: rille.event, out: rille.out)

---@class rille.param
---@field [1] string name
---@field [2] string type: bool, string, u8 … u64, s8 … s64, const:PREFIX; [] behind an integer type for a list
---@field help? string
---@field default? boolean|integer|string|(integer|string)[]

---What a script returns.
---@class rille.script
---@field summary? string
---@field params? rille.param[]
---@field probes rille.probe[]
---@field on_start? fun(out: rille.out)
---@field on_event? fun(ev: rille.event, out: rille.out)
---@field on_exec? fun(pid: integer, comm: string, out: rille.out)
---@field on_exit? fun(pid: integer, out: rille.out)
---@field on_lost? fun(probe: string, lost: integer, out: rille.out)
---@field on_end? fun(out: rille.out)
---@field every? { [1]: number, [2]: fun(out: rille.out) }
