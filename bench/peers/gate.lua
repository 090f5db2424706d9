-- A peer to measure against, no part of entitle: the gate people write with
-- lua-nginx-module. A signed cookie is verified on every request, then the
-- user's version and end of access come from Redis, each time or through a
-- lua_shared_dict of some seconds.
local ffi = require "ffi"

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len,
                    const unsigned char *data, size_t n,
                    unsigned char *mac, unsigned int *mac_len);
]]

local _M = { key = "0123456789abcdef0123456789abcdef" }
local mac = ffi.new("unsigned char[32]")
local sha256 = ffi.C.EVP_sha256()

-- user, version of a cookie "user.version.expires.mac", or nothing.
local function session()
   local cookie = ngx.var.cookie_session
   if not cookie then return end
   local signed, user, version, expires, claimed =
      cookie:match("^(([^.]+)%.(%d+)%.(%d+))%.(.+)$")
   if not signed or tonumber(expires) <= ngx.time() then return end
   ffi.C.HMAC(sha256, _M.key, #_M.key, signed, #signed, mac, nil)
   if ngx.encode_base64(ffi.string(mac, 32)) ~= claimed then return end
   return user, version
end

-- "version until" of a user, from Redis.
local function ask_redis(user)
   local socket = ngx.socket.tcp()
   assert(socket:connect("127.0.0.1", _M.redis_port))
   local key = "peer:" .. user
   assert(socket:send("*4\r\n$5\r\nHMGET\r\n$" .. #key .. "\r\n" .. key ..
                      "\r\n$7\r\nversion\r\n$5\r\nuntil\r\n"))
   assert(socket:receive() == "*2")
   local values = {}
   for i = 1, 2 do
      local size = tonumber(assert(socket:receive()):sub(2))
      if size < 0 then
         values[i] = "0"
      else
         values[i] = assert(socket:receive(size))
         assert(socket:receive(2))
      end
   end
   assert(socket:setkeepalive(60000, 128))
   return values[1] .. " " .. values[2]
end

local function decide(user, version, known)
   if not user then return ngx.exit(401) end
   local current, until_time = known:match("^(%d+) (%d+)$")
   if version ~= current then return ngx.exit(401) end
   if tonumber(until_time) <= ngx.time() then return ngx.exit(402) end
end

function _M.by_redis()
   local user, version = session()
   return decide(user, version, user and ask_redis(user))
end

function _M.by_cache()
   local user, version = session()
   local known = user and ngx.shared.users:get(user)
   if user and not known then
      known = ask_redis(user)
      ngx.shared.users:set(user, known, 5)
   end
   return decide(user, version, known)
end

return _M
