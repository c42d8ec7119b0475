-- Asks the controller to pause the last revision of a BlueGreenRelease. `obj` is the object; nothing
-- of it is changed but one annotation.

local status = obj.status or {}
local request = "pause " .. tostring(status.revision or 0)

-- The controller takes the same text once. To ask for the same again takes another word.
if status.lastRequest ~= nil and status.lastRequest.text == request then
  request = request .. " again"
end

obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["bluegreen.dev/request"] = request
return obj
