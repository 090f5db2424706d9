#include "ngx_module/conf/locations.h"

namespace entitle::ngx {
namespace {

using Kind = Location::Kind;

Location make(Kind kind, ngx_http_core_loc_conf_t* core, void** confs);

// The beginning of what ngx_http_try_files_module.c keeps for a location, the
// same since 1.13.4. (It has no header.)
struct TryFilesConf {
    void* try_files;  // null: none here
};

// Of one that has a block of its own.
template <class Located>
void
add(std::vector<Location>& found, Kind kind, Located* located) {
    ngx_http_core_loc_conf_t* core = compat::core_of(located);
    found.push_back(make(kind, core, core->loc_conf));
}

void
add_tree(std::vector<Location>& found,
         const ngx_http_location_tree_node_t* node) {
    if (node == nullptr) {
        return;
    }
    if (node->exact != nullptr) {
        add(found, Kind::exact, node->exact);
    }
    if (node->inclusive != nullptr) {
        add(found, Kind::prefix, node->inclusive);
    }
    add_tree(found, node->left);
    add_tree(found, node->tree);
    add_tree(found, node->right);
}

// Up to the null at the end.
template <class Located>
void
add_list(std::vector<Location>& found, Kind kind, Located** list) {
    for (; list != nullptr && *list != nullptr; list++) {
        add(found, kind, *list);
    }
}

Location
make(Kind kind, ngx_http_core_loc_conf_t* core, void** confs) {
    Location made{kind, core, confs};
    add_tree(made.inner, core->static_locations);
#if (NGX_PCRE)
    add_list(made.inner, Kind::regex, core->regex_locations);
#endif
    return made;
}

bool
lets_regex_overrule([[maybe_unused]] const Location& prefix) {
#if (NGX_PCRE)
    return prefix.core->noregex == 0;
#else
    return false;
#endif
}

// Appends the way from inside `here`. True: that is final; false: a regex that
// lies further out may still overrule it.
bool
follow(const Location& here, std::string_view path,
       std::vector<const Location*>& way) {
    const Location* longest = nullptr;
    for (const Location& location : here.inner) {
        const std::string_view name = view(location.core->name);
        if (location.kind == Kind::exact && name == path) {
            way.push_back(&location);
            return true;
        }
        if (location.kind == Kind::prefix && path.starts_with(name) &&
            (longest == nullptr || name.size() > longest->core->name.len)) {
            longest = &location;
        }
    }
    const std::size_t before = way.size();
    if (longest != nullptr) {
        way.push_back(longest);
        if (follow(*longest, path, way)) {
            return true;
        }
        if (!lets_regex_overrule(*longest)) {
            return false;
        }
    }
    for (const Location& location : here.inner) {
        if (location.kind == Kind::regex && matches(location, path)) {
            way.resize(before);
            way.push_back(&location);
            follow(location, path, way);
            return true;
        }
    }
    return false;
}

}  // namespace

const LocationConf&
Location::conf() const {
    return *of<LocationConf>(&ngx_http_entitle_module);
}

Location
locations_of(const ngx_http_core_srv_conf_t* server) {
    void** confs = server->ctx->loc_conf;
    Location root = make(Kind::server,
                         static_cast<ngx_http_core_loc_conf_t*>(
                             confs[ngx_http_core_module.ctx_index]),
                         confs);
    add_list(root.inner, Kind::named, server->named_locations);
    return root;
}

void
each_location(const Location& server,
              const std::function<void(const Location&)>& f) {
    f(server);
    for (const Location& location : server.inner) {
        each_location(location, f);
    }
}

bool
matches(const Location& regex, std::string_view path) {
#if (NGX_PCRE)
    int captures[3];
    ngx_str_t subject = str(path);
    return ngx_regex_exec(regex.core->regex->regex, &subject, captures, 3) >= 0;
#else
    return false;
#endif
}

std::vector<const Location*>
way_to(const Location& server, std::string_view path) {
    std::vector<const Location*> way = {&server};
    follow(server, path, way);
    return way;
}

const ngx_module_t*
module_named(ngx_conf_t* cf, std::string_view name) {
    for (ngx_uint_t i = 0; cf->cycle->modules[i] != nullptr; i++) {
        if (cf->cycle->modules[i]->name == name) {
            return cf->cycle->modules[i];
        }
    }
    return nullptr;
}

bool
tries_files(ngx_conf_t* cf, void** confs) {
    const ngx_module_t* module = module_named(cf, "ngx_http_try_files_module");
    const auto* conf =
        module == nullptr
            ? nullptr
            : static_cast<const TryFilesConf*>(confs[module->ctx_index]);
    return conf != nullptr && conf->try_files != nullptr;
}

}  // namespace entitle::ngx
