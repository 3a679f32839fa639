-- Health of an ExportScript or OtelPlugin for Argo CD (one script for both kinds). It reads conditions only and agrees with
-- `kubectl wait --for=condition=Ready` and kstatus; see docs/conditions.md. Argo CD's Lua has no standard libraries.
local waiting = { status = "Progressing", message = "waiting for the operator" }
local meta, spec, status = obj.metadata or {}, obj.spec or {}, obj.status
if status == nil or status.conditions == nil then
  return waiting
end
if status.observedGeneration ~= nil and meta.generation ~= nil and status.observedGeneration < meta.generation then
  waiting.message = "this generation was not observed yet"
  return waiting
end
local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end
local ready, reconciling, stalled = found["Ready"], found["Reconciling"], found["Stalled"]
local function because(condition)
  local message = condition.message or ""
  if message == "" then
    return condition.reason or ""
  end
  return (condition.reason or "") .. ": " .. message
end
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = because(stalled) }
end
-- what somebody switched off is not broken, as with Argo CD's own check of CronJobs; say "Suspended" here if you prefer that
if spec.suspend == true or spec.enabled == false then
  return { status = "Healthy", message = "switched off in spec" }
end
if reconciling ~= nil and reconciling.status == "True" then
  return { status = "Progressing", message = because(reconciling) }
end
if ready == nil or ready.status == "Unknown" then
  return waiting
end
if ready.status == "True" then
  return { status = "Healthy", message = because(ready) }
end
return { status = "Degraded", message = because(ready) }
