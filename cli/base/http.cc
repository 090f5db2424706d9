#include "cli/base/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "cli/base/stop.h"

namespace entitle::cli {
namespace {

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Lines = std::unique_ptr<curl_slist, FreeList>;

struct Beginning {
  std::string& body;
  std::size_t most;
};

std::size_t take_beginning(char* bytes, std::size_t, std::size_t size,
                           void* into) {
  auto& beginning = *static_cast<Beginning*>(into);
  const std::size_t room = beginning.most - beginning.body.size();
  beginning.body.append(bytes, std::min(size, room));
  return size;
}

Lines lines_of(const std::vector<std::string>& texts) {
  Lines lines;
  for (const std::string& text : texts) {
    lines.reset(curl_slist_append(lines.release(), text.c_str()));
  }
  return lines;
}

}  // namespace

HttpAnswer ask(const HttpRequest& request) {
  HttpAnswer answer;
  const std::unique_ptr<CURL, FreeCurl> owned(curl_easy_init());
  CURL* handle = owned.get();
  if (handle == nullptr) {
    throw Stop(Exit::cannot_tell, "libcurl does not start");
  }
  const Lines headers = lines_of(request.headers);
  const Lines connect_to = lines_of({"::" + request.address});
  Beginning beginning{answer.body, request.most};
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  if (request.body) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE,
                     static_cast<long>(request.body->size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body->c_str());
  }
  if (!request.address.empty()) {
    curl_easy_setopt(handle, CURLOPT_CONNECT_TO, connect_to.get());
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
  }
  if (!request.socket.empty()) {
    curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, request.socket.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(request.time.count()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_beginning);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &beginning);
  const CURLcode result = curl_easy_perform(handle);
  if (result != CURLE_OK) {
    answer.error = curl_easy_strerror(result);
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  char* location = nullptr;
  curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &location);
  answer.status = static_cast<unsigned>(status);
  if (location != nullptr) answer.location = location;
  return answer;
}

}  // namespace entitle::cli
