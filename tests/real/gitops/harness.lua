-- Runs one of Argo CD's scripts for a test: health, discovery, or action NAME.
-- Arguments: which, the script, a file that returns an object. A script has what it has in Argo CD,
-- which opens the base and the table library for all three kinds, and neither string nor math.

local which, script, object = arg[1], arg[2], arg[3]

local function run(obj)
  local chunk = assert(loadfile(script))
  setfenv(chunk, {
    obj = obj, pairs = pairs, ipairs = ipairs, next = next, type = type,
    tostring = tostring, tonumber = tonumber, table = table,
  })
  -- Without the string library a string has no methods either.
  local strings = getmetatable("")
  local methods = strings.__index
  strings.__index = nil
  local result = chunk()
  strings.__index = methods
  return result
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local obj = dofile(object)
local result = run(obj)

if which == "health" then
  print(result.status)
  print(result.message)
elseif which == "discovery" then
  local names = {}
  for name, action in pairs(result) do
    assert(type(action.disabled) == "boolean", name)
    table.insert(names, name .. (action.disabled and " disabled" or " enabled"))
  end
  table.sort(names)
  print(table.concat(names, "\n"))
elseif which == "action" then
  local before = dofile(object)
  local annotations = result.metadata.annotations
  print(annotations["bluegreen.dev/request"])
  before.metadata.annotations = before.metadata.annotations or {}
  before.metadata.annotations["bluegreen.dev/request"] = annotations["bluegreen.dev/request"]
  assert(same(before, result), "more than the annotation was changed")
else
  error("no script is called " .. tostring(which))
end
