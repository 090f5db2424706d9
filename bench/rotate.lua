-- For wrk: each request is the next line of a file of header lines.
--
--   wrk ... -s rotate.lua URL -- FILE
local requests, at = {}, 0

function init(args)
   for line in io.lines(args[1]) do
      local name, value = line:match("^([^:]+): (.*)$")
      requests[#requests + 1] = wrk.format(nil, nil, { [name] = value })
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end
