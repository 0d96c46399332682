-- Posts fixes that are never the same: each request takes the next moment for the next device of the list.
-- arguments: path, file with "<key> <device id>" lines, fixes a request, first moment (epoch s), first number
local keys, ids, turn, n, batch, first, path

function init(args)
  path, batch, first, n = args[1], tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  turn = 0
  keys, ids = {}, {}
  for line in io.lines(args[2]) do
    local key, id = line:match("(%S+) (%S+)")
    keys[#keys + 1], ids[#ids + 1] = key, id
  end
end

local function fix(number, id)
  local ms = number % 1000
  return string.format(
    '{%s"fix_at":"%s.%03dZ","lat":54.6872%02d,"lon":25.2791%02d,"accuracy_m":5.5,"speed_mps":13.2,"heading_deg":87.0}',
    id, os.date("!%Y-%m-%dT%H:%M:%S", first + math.floor(number / 1000)), ms, number % 97, number % 89)
end

function request()
  turn = turn % #keys + 1
  local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. keys[turn] }
  if path == "/each" then
    n = n + 1
    return wrk.format("POST", path, headers, fix(n, '"device_id":"' .. ids[turn] .. '",'))
  end
  local fixes = {}
  for i = 1, batch do
    n = n + 1
    fixes[i] = fix(n, "")
  end
  return wrk.format("POST", path, headers, '{"fixes":[' .. table.concat(fixes, ",") .. "]}")
end

function done(summary, latency, requests)
  io.write(string.format('RESULT {"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"refused":%d,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
