// Directives about Redis, and what all setters share.

#include <sys/un.h>

#include "ngx_module/ngx_http_entitle_conf.h"

namespace entitle::ngx {
namespace {

constexpr std::size_t kGreatestFile = 64 * 1024;

template <class T>
T&
slot(ngx_command_t* command, void* conf) {
    return *reinterpret_cast<T*>(static_cast<char*>(conf) + command->offset);
}

// Only what needs no lookup: `nginx -t` must not need DNS, and a name that is
// looked up once would not follow a changed address.
char*
resolve_literal(ngx_conf_t* cf, MainConf* conf, const RedisHost& host) {
    std::string text = host.host == "localhost" ? "127.0.0.1" : host.host;
    ngx_str_t literal = str(text);
    if (ngx_parse_addr(cf->pool, &conf->redis_addr, literal.data,
                       literal.len) != NGX_OK) {
        return invalid_value(cf, view(conf->redis),
                             "host \"" + host.host +
                                 "\" needs resolver support, which this "
                                 "version does not have yet: write an address, "
                                 "localhost or unix:/path");
    }
    ngx_inet_set_port(conf->redis_addr.sockaddr, host.port);
    return NGX_CONF_OK;
}

char*
use_unix_socket(ngx_conf_t* cf, MainConf* conf, const std::string& path) {
    auto* address =
        static_cast<sockaddr_un*>(ngx_pcalloc(cf->pool, sizeof(sockaddr_un)));
    if (address == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    if (path.size() >= sizeof(address->sun_path)) {
        return invalid_value(cf, view(conf->redis),
                             "the path of a socket has at most 107 bytes");
    }
    address->sun_family = AF_UNIX;
    ngx_memcpy(address->sun_path, path.data(), path.size());
    conf->redis_addr.sockaddr = reinterpret_cast<sockaddr*>(address);
    conf->redis_addr.socklen = sizeof(sockaddr_un);
    return NGX_CONF_OK;
}

// Somebody may have written a password there, and messages are kept.
std::string
without_user(std::string_view address) {
    std::size_t at = address.rfind('@');
    std::size_t scheme = address.find("//");
    if (at == std::string_view::npos || scheme > at) {
        return std::string(address);
    }
    return std::string(address.substr(0, scheme)) + "//..." +
           std::string(address.substr(at));
}

}  // namespace

char*
set_redis(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->redis_address != nullptr) {
        return duplicate();
    }
    conf->redis = arguments(cf)[1];
    ParsedRedisAddress parsed = parse_redis_address(view(conf->redis));
    if (!parsed.address) {
        return invalid_value(cf, without_user(view(conf->redis)), parsed.error);
    }
    if (!parsed.address->user.empty() && conf->redis_user_where.line == 0) {
        conf->redis_user_where = where(cf);
    }
    using Kind = RedisAddress::Kind;
    const RedisAddress& address = own(cf, conf->redis_address) =
        std::move(*parsed.address);
    if (address.tls || address.kind == Kind::sentinel ||
        address.kind == Kind::cluster) {
        return invalid_value(cf, view(conf->redis),
                             "rediss://, sentinel:// and cluster:// are not "
                             "built in this version yet: it must be redis:// "
                             "or unix:/path");
    }
    conf->redis_addr.name = conf->redis;
    return address.kind == Kind::unix_socket
               ? use_unix_socket(cf, conf, address.path)
               : resolve_literal(cf, conf, address.hosts.front());
}

char*
set_redis_user(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    static_cast<MainConf*>(data)->redis_user_where = where(cf);
    return ngx_conf_set_str_slot(cf, command, data);
}

char*
set_redis_password_file(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->redis_password != nullptr) {
        return duplicate();
    }
    const ngx_str_t& file = arguments(cf)[1];
    std::optional<std::string> content = read_conf_file(cf, file);
    if (!content) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    while (content->ends_with('\n') || content->ends_with('\r')) {
        content->pop_back();
    }
    if (content->empty() || content->find('\n') != std::string::npos) {
        return invalid_value(cf, view(file),
                             "the file must hold one line, the password");
    }
    own(cf, conf->redis_password) = std::move(*content);
    return NGX_CONF_OK;
}

char*
set_redis_prefix(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    std::string_view prefix = view(arguments(cf)[1]);
    for (char c : prefix) {
        if (c <= ' ' || c > '~' || c == '{' || c == '}') {
            return invalid_value(cf, prefix,
                                 "it must be printable ASCII without spaces, "
                                 "\"{\" and \"}\", which mark Cluster slots");
        }
    }
    if (prefix.empty()) {
        return invalid_value(cf, prefix, "it must not be empty");
    }
    return ngx_conf_set_str_slot(cf, command, data);
}

char*
set_seconds(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    if (slot<time_t>(command, data) != NGX_CONF_UNSET) {
        return duplicate();
    }
    if (ngx_conf_set_sec_slot(cf, command, data) != NGX_CONF_OK) {
        return invalid_value(cf, view(arguments(cf)[1]),
                             "it must be a time, like 30s, 5m, 12h or 7d");
    }
    return NGX_CONF_OK;
}

char*
set_positive_seconds(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    char* result = set_seconds(cf, command, data);
    if (result == NGX_CONF_OK && slot<time_t>(command, data) == 0) {
        return invalid_value(cf, view(arguments(cf)[1]),
                             "it must be a time greater than 0");
    }
    return result;
}

char*
set_positive_msec(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    if (slot<ngx_msec_t>(command, data) != NGX_CONF_UNSET_MSEC) {
        return duplicate();
    }
    if (ngx_conf_set_msec_slot(cf, command, data) != NGX_CONF_OK ||
        slot<ngx_msec_t>(command, data) == 0) {
        return invalid_value(cf, view(arguments(cf)[1]),
                             "it must be a time greater than 0, like 500ms or "
                             "2s");
    }
    return NGX_CONF_OK;
}

char*
set_choice(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    auto& value = slot<ngx_uint_t>(command, data);
    if (value != NGX_CONF_UNSET_UINT) {
        return duplicate();
    }
    std::string_view word = view(arguments(cf)[1]);
    auto* choices = static_cast<ngx_conf_enum_t*>(command->post);
    std::string allowed;
    for (ngx_conf_enum_t* choice = choices; choice->name.len != 0; choice++) {
        if (word == view(choice->name)) {
            value = choice->value;
            return NGX_CONF_OK;
        }
        allowed += allowed.empty() ? "it must be " : " or ";
        allowed += view(choice->name);
    }
    return invalid_value(cf, word, allowed);
}

char*
invalid_value(ngx_conf_t* cf, std::string_view value, std::string_view why) {
    ngx_str_t quoted = str(value);
    ngx_str_t reason = str(why);
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": %V", &quoted,
                       &arguments(cf)[0], &reason);
    return static_cast<char*>(NGX_CONF_ERROR);
}

std::optional<std::string>
read_conf_file(ngx_conf_t* cf, const ngx_str_t& name) {
    ngx_str_t path = name;
    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return std::nullopt;
    }

    std::string content(kGreatestFile + 1, '\0');
    ngx_fd_t fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    ssize_t size = NGX_ERROR;
    if (fd != NGX_INVALID_FILE) {
        size = ngx_read_fd(fd, content.data(), content.size());
    }
    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot read the file \"%V\" of \"%V\"", &path,
                           &arguments(cf)[0]);
    }
    if (fd != NGX_INVALID_FILE) {
        ngx_close_file(fd);
    }
    if (size == NGX_ERROR) {
        return std::nullopt;
    }

    content.resize(static_cast<std::size_t>(size));
    if (content.size() > kGreatestFile) {
        invalid_value(cf, view(path), "the file must not exceed 64k");
        return std::nullopt;
    }
    return content;
}

ngx_http_complex_value_t*
compile_value(ngx_conf_t* cf, ngx_str_t text) {
    auto* value = static_cast<ngx_http_complex_value_t*>(
        ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t)));
    if (value == nullptr) {
        return nullptr;
    }
    ngx_http_compile_complex_value_t compile;
    ngx_memzero(&compile, sizeof(compile));
    compile.cf = cf;
    compile.value = &text;
    compile.complex_value = value;
    return ngx_http_compile_complex_value(&compile) == NGX_OK ? value : nullptr;
}

}  // namespace entitle::ngx
