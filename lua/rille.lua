-- The part of `rille` that is written in Lua: what scripts use to report. It gets the table and adds to it.
-- It runs inside the script's sandbox and has nothing that scripts do not have.
local rille = ...

--- A frame in one line: "leaf+0x12 (prog) pair.c:7".
function rille.frame(frame)
  local parts = {}
  if frame.name then
    parts[1] = frame.name
    if frame.kind == "native" or frame.kind == "kernel" then
      parts[1] = string.format("%s+0x%x", frame.name, frame.offset)
    end
  elseif not frame.module then
    parts[1] = string.format("0x%x", frame.address)
  end
  if frame.module then
    local file = frame.module:match("[^/]+$") or frame.module
    parts[#parts + 1] = frame.name and "(" .. file .. ")" or string.format("%s+0x%x", file, frame.offset)
  end
  if frame.file then
    local file = frame.file:match("[^/]+$") or frame.file
    parts[#parts + 1] = frame.line and file .. ":" .. frame.line or file
  end
  return table.concat(parts, " ")
end

--- The names of a stack's frames, outermost first, joined by ";": one line of a folded stack.
function rille.folded(stack)
  local names = {}
  for i = #stack, 1, -1 do
    local frame = stack[i]
    names[#names + 1] = frame.name or rille.frame(frame)
  end
  return table.concat(names, ";")
end

--- The n largest of a table of numbers, as a list of { key, number }; equal numbers in order of key.
function rille.top(counts, n)
  local list = {}
  for key, number in pairs(counts) do
    list[#list + 1] = { key, number }
  end
  table.sort(list, function(a, b)
    if a[2] ~= b[2] then
      return a[2] > b[2]
    end
    return tostring(a[1]) < tostring(b[1])
  end)
  for i = #list, (n or #list) + 1, -1 do
    list[i] = nil
  end
  return list
end
