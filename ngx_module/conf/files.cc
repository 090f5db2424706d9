// Files that a directive names, whole.

#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

constexpr std::size_t kGreatestFile = 64 * 1024;

}  // namespace

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

}  // namespace entitle::ngx
