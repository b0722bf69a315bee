-- Lets a request wait while no replica of its model can answer: `http-request lua.hold BACKEND SECONDS`.
-- It goes on as soon as one can, or as this worker is told to stop: then a newer one knows better.
-- Sets txn.nobody where the time is over.
local function live(backend)
  for name, server in pairs(core.backends[backend].servers) do
    if name ~= "again" and server:get_stats().status:sub(1, 2) == "UP" then
      return true
    end
  end
  return false
end

local function stopping(txn)
  local said = txn.f:stopping() -- a number up to HAProxy 3.0, a boolean later (tune.lua.bool-sample-conversion)
  return said == true or said == 1
end

core.register_action("hold", { "http-req" }, function(txn, backend, seconds)
  local deadline = core.now().sec + tonumber(seconds)
  while not live(backend) and not stopping(txn) do
    if core.now().sec > deadline then
      txn:set_var("txn.nobody", true)
      return
    end
    core.msleep(100)
  end
end, 2)
