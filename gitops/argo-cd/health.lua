-- What Argo CD shows of a BlueGreenRelease. `obj` is the object.

local function health(status, message)
  return { status = status, message = message }
end

local status = obj.status or {}
local message = status.message or ""

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "it is being deleted: " .. message)
end

-- What status says is about an earlier spec until the controller has seen this one.
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "the controller has not seen the last change of the spec yet")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local ready = conditions.Ready or { status = "Unknown", reason = "" }
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  return health("Degraded", message)
end
if ready.status == "True" then
  return health("Healthy", message)
end

-- It waits for a person, who meant it to.
local at_rest = { Paused = "Suspended", AwaitingPromotion = "Suspended" }
return health(at_rest[ready.reason] or "Progressing", message)
