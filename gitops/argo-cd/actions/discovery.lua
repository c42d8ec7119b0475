-- Which requests the controller would take from a BlueGreenRelease as it stands, and something would
-- follow. `obj` is the object. Whether an abort can still put everything back, only the controller
-- knows: where it cannot, status.lastRequest says so and nothing happens. Of what is held, retry comes
-- before promote.

local status = obj.status or {}
local spec = obj.spec or {}
local course = status.course or {}

local on_its_way = status.course ~= nil
local forward = course.direction == "Forward"
local back = course.direction == "Back"
local held = course.hold ~= nil
local paused = course.pausedAt ~= nil
-- In place nothing waits for a promotion.
local hosts = (spec.fleet or {}).hosts
local in_place = hosts ~= nil and #(hosts.ports or {}) == 1
local manual = spec.promotion ~= nil and spec.promotion.mode == "Manual" and not in_place
local rollback_failed = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.reason == "RollbackFailed" then
    rollback_failed = condition.status == "True"
  end
end

-- What failed is tried again by itself when the spec has changed since.
local failed = not on_its_way
  and status.failedGeneration ~= nil
  and status.failedGeneration == obj.metadata.generation

local possible = {
  promote = forward and manual and not held and course.promotedAt == nil,
  abort = forward and status.blue ~= nil,
  retry = failed or (forward and held) or (back and rollback_failed),
  pause = on_its_way and not paused,
  resume = on_its_way and paused,
}

local observed = status.observedGeneration == obj.metadata.generation
local ending = obj.metadata.deletionTimestamp ~= nil

local actions = {}
for name, holds in pairs(possible) do
  actions[name] = { disabled = ending or not observed or not holds }
end
return actions
