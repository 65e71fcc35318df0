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

---@alias rille.aggregate_kind "count"|"sum"|"avg"|"min"|"max"|"hist"|"lhist"

---A bar of a histogram; an open end is nil.
---@class rille.bar
---@field from? integer
---@field to? integer not itself in the bar
---@field count integer

---What a probe counts in the kernel, the largest value first: keys by name, the value (of histograms its bars, of `avg` not
---rounded), how many events it is of. In callbacks only.
---@param probe string|integer the probe's name as the script writes it, or its number in `probes`
---@param kind? rille.aggregate_kind may be left out if the probe counts one thing only
---@return fun(): table<string, any>?, (number|rille.bar[])?, integer?
function rille.pairs(probe, kind) end

---Begins anew. While the trace runs not for `min` and `max`; in `on_end`: it is not shown.
---@param probe string|integer
---@param kind? rille.aggregate_kind
function rille.clear(probe, kind) end

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

---A process as /proc shows it now; in callbacks only. What has gone is nil and a message.
---@class rille.proc
rille.proc = {}

---@param pid integer
---@return { fd: integer, kind: string, inode?: integer, path?: string }[]?
---@return string? why
function rille.proc.descriptors(pid) end

---@param pid integer
---@return { start: integer, stop: integer, perms: string, offset: integer, inode?: integer, path?: string }[]?
---@return string? why
function rille.proc.maps(pid) end

---@param pid integer
---@return integer? # ns since 1970, as exact as the kernel tells (10 ms)
---@return string? why
function rille.proc.started(pid) end

---@class rille.container
---@field runtime string
---@field id string
---@field name? string
---@field pod? string
---@field pod_uid? string
---@field pod_namespace? string
---@field cgroup string

---@param pid integer
---@return rille.container? # nil: in none
---@return string? why
function rille.proc.container(pid) end

---A socket as sock_diag shows it now; in callbacks only.
---@class rille.sock
rille.sock = {}

---@param inode integer the N of socket:[N]
---@param pid? integer a process in the same network namespace; the tracer
---@return { family?: string, type?: string, state?: string, local?: rille.address, remote?: rille.address, waiting?: integer, peer?: integer }?
---@return string? why
function rille.sock.state(inode, pid) end

---The other end, of Unix sockets and of TCP on this machine.
---@param inode integer
---@param pid? integer
---@return { inode: integer, pid?: integer, fd?: integer, comm?: string }?
---@return string? why
function rille.sock.peer(inode, pid) end

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
---@field container? string "docker:web-1": where the process is, read when it is looked at
---@field [string] any
local event = {}

---A plain table with everything, which can be kept.
---@return table
function event:copy() end

---A field as the text output shows it.
---@param name string
---@return string
function event:show(name) end

---The event as one line of JSON, as the output `jsonl` writes it. In the module only.
---@return string
function event:json() end

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

---To every output, what probes count, as of now.
function out:aggregates() end

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

---What is counted in the kernel.
---@class rille.count
---@field by? (string|rille.field)[] keys
---@field max? integer entries, 4096

---@class rille.aggregate: rille.count
---@field [1] string expression
---@field as? string decoder

---@class rille.lhist: rille.aggregate
---@field [2] integer from
---@field [3] integer to
---@field [4] integer step

---@class rille.probe
---@field [1] string "syscall:NAME", "tracepoint:CATEGORY:NAME"; with * and ? for many
---@field where? string expression
---@field fields? (string|rille.field)[]
---@field stack? "user"|"kernel"|"both"|rille.stack_options
---@field count? true|rille.count
---@field sum? string|rille.aggregate
---@field avg? string|rille.aggregate
---@field min? string|rille.aggregate
---@field max? string|rille.aggregate
---@field hist? string|rille.aggregate powers of two
---@field lhist? rille.lhist bars of equal width
---@field at? "exit"|"entry" of a system call: when it returns, or before it does anything
---@field optional? boolean left out where the kernel does not have it
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

-- What follows is in the module that stock Lua 5.4 and LuaJIT `require`, not in scripts (docs/embedding.md).

---@class rille.options
---@field log? fun(level: "error"|"warn"|"info"|"debug", message: string)
---@field log_level? "error"|"warn"|"info"|"debug" what is told to `log`; "warn" if not given
---@field cache_dir? string the user's if not given; "": no cache
---@field compiler? string path of rille-cc
---@field ring_bytes? integer
---@field unsafe? boolean scripts may use io, os, load
---@field strict? boolean an error in a callback ends the trace

---An engine: sessions, and one descriptor over all of them. Failures are raised, as rille.error.
---@param options? rille.options
---@return rille.engine
function rille.open(options) end

---What is raised when a call of the library fails; tostring() gives the whole text.
---@class rille.error
---@field code integer negative errno
---@field class "runtime"|"script"|"permission"|"kernel"
---@field tag string stable: "unknown-field"
---@field stage string what failed: "declare", "generate", "compile", "load", "attach", "check" …
---@field file? string
---@field line? integer
---@field col? integer
---@field message string
---@field formatted string with place, source line and hint

---@class rille.engine
local engine = {}

---A recipe by its name, a script by its path (with a slash, or ending in .lua), or a table: a script, a list of probes, one
---probe. A table's `on_event` functions are called here, in this Lua.
---@param what string|rille.script|rille.probe[]|rille.probe
---@param params? table<string, boolean|integer|string|(integer|string)[]>
---@return rille.session
function engine:load(what, params) end

---The text of a script, or of one probe in braces.
---@param text string
---@param params? table<string, boolean|integer|string|(integer|string)[]>
---@param name? string what messages call it
---@return rille.session
function engine:load_string(text, params, name) end

---What session:emit("object") gave, here or on another machine: attaching needs no compiler then.
---@param bytes string
---@param params? table<string, boolean|integer|string|(integer|string)[]>
---@return rille.session
function engine:load_object(bytes, params) end

---Readable when there is something to dispatch.
---@return integer
function engine:fd() end

---The same, for cqueues.
---@return integer
function engine:pollfd() end

---For cqueues: "r".
---@return string
function engine:events() end

---For cqueues: nil, the descriptor says all.
---@return nil
function engine:timeout() end

---The same as fd(), for LuaSocket's select.
---@return integer
function engine:getfd() end

---For LuaSocket's select: false, nothing is kept back.
---@return boolean
function engine:dirty() end

---Waits, and hands events to callbacks. Raises what a callback raised, once the round is over.
---@param timeout_ms? integer 0: does not wait; -1, and if not given: until something happens
---@param max_events? integer 0, and if not given: no bound
---@return integer? events nil if no session runs any more
---@return integer? events then how many it was
function engine:dispatch(timeout_ms, max_events) end

---@return { name: string, summary: string, source: string }[]
function engine:recipes() end

---@param glob? string over "syscall:NAME" and "tracepoint:CATEGORY:NAME"
---@return string[]
function engine:probes(glob) end

---@param probe string
---@return { name: string, type: string, scope?: "at_exit" }[]
function engine:arguments(probe) end

---What this kernel and these privileges allow; no state: not, and it is needed.
---@return { name: string, detail: string, state?: "ok"|"optional" }[]
function engine:doctor() end

---Closes its sessions, too; what they had not dispatched is dropped.
function engine:close() end

---A session: one script, from its loading to its closing. Its engine keeps it until then.
---@class rille.session
local session = {}

---@param name string
---@param value boolean|integer|string|(integer|string)[]
---@return rille.session
function session:param(name, value) end

---@param name "addresses"|"color"|"depth"|"fields"|"filter"|"follow"|"limit"|"ring"|"signatures"|"stack"|"timestamp"|"top"|string
---@param value boolean|integer|string|string[]
---@return rille.session
function session:set(name, value) end

---@param pid integer
---@return rille.session
function session:target_pid(pid) end

---@param comm string
---@return rille.session
function session:target_comm(comm) end

---@param uid integer
---@return rille.session
function session:target_uid(uid) end

---@param format string "text", "jsonl" …
---@param where string|integer|file* a path, a descriptor, an open file
---@return rille.session
function session:add_output(format, where) end

---The events of probes that have no callback of their own in the table. nil: none.
---@param callback? fun(ev: rille.event, session: rille.session)
---@return rille.session
function session:on_event(callback) end

---@return { name: string, type: string, help?: string, default?: string }[]
function session:params() end

---@return string
function session:summary() end

---Everything short of the kernel: names, types, generated code.
---@return rille.session
function session:check() end

---@param form? "c"|"asm"|"object"
---@return string
function session:emit(form) end

---Compiles, or takes from the cache; loads and attaches: all or nothing.
---@return rille.session
function session:attach() end

---Delivers what is left, writes the report, detaches. In a callback: the trace ends after this event.
---@param reason? string
---@return rille.session
function session:stop(reason) end

---Outputs that tell a state ("open", "open-jsonl") tell it now; the trace goes on.
---@param reason? string
---@return rille.session
function session:report(reason) end

---Instead of attaching: what such outputs can see of the targets from outside, once.
---@return rille.session
function session:snapshot() end

---What a stack is about, as `rille.origin` tells scripts, with the entries that this session's script has added; nil if that is not
---known.
---@param stack? rille.frame[]
---@param path? string of the descriptor, or the address of a Unix socket
---@return rille.origin?
function session:origin(stack, path) end

---Why the trace ended, nil while it has not.
---@return string?
function session:over() end

---@class rille.stats
---@field probe string
---@field seen integer
---@field target integer
---@field passed integer
---@field sent integer
---@field lost_ring integer
---@field lost_entry integer
---@field lost_compat integer
---@field lost_limit integer
---@field lost_full integer not counted: a map of what is counted was full
---@field callback_errors integer
---@field unresolved integer stacks that did not reach their root
---@field unresolved_why string

---A table a probe.
---@return rille.stats[]
function session:stats() end

---@return { name: string, nsecs: integer }[]
function session:phases() end

---@return string
function session:mechanisms() end

---What was not dispatched is dropped.
function session:close() end
