#include "core/redis/resp.h"

#include <hiredis/read.h>

#include <charconv>
#include <memory>
#include <new>

namespace entitle {
namespace {

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

// hiredis asks for one object per element and hands arrays out before their
// elements, so an element is built where it will stay: inside its parent.
Reply* place_for(const redisReadTask* task) {
  if (task->parent == nullptr) return new (std::nothrow) Reply;
  auto* parent = static_cast<Reply*>(task->parent->obj);
  return &parent->elements[static_cast<std::size_t>(task->idx)];
}

// An exception must not pass through hiredis; null makes it report "out of
// memory". A root that was made is freed here, an element by its root.
template <class Fill>
void* build(const redisReadTask* task, Reply::Type type, Fill fill) noexcept {
  Reply* reply = place_for(task);
  if (reply == nullptr) return nullptr;
  try {
    reply->type = type;
    fill(*reply);
    return reply;
  } catch (...) {
    if (task->parent == nullptr) delete reply;
    return nullptr;
  }
}

Reply::Type text_type(const redisReadTask* task) {
  switch (task->type) {
    case REDIS_REPLY_STATUS:
      return Reply::Type::status;
    case REDIS_REPLY_ERROR:
      return Reply::Type::error;
    default:
      return Reply::Type::string;
  }
}

void* create_text(const redisReadTask* task, char* text, size_t length) {
  return build(task, text_type(task),
               [&](Reply& reply) { reply.text.assign(text, length); });
}

void* create_array(const redisReadTask* task, int elements) {
  if (elements > ReplyReader::kMaxElements) {
    *static_cast<bool*>(task->privdata) = true;
    return nullptr;
  }
  return build(task, Reply::Type::array, [&](Reply& reply) {
    reply.elements.resize(static_cast<std::size_t>(elements));
  });
}

void* create_integer(const redisReadTask* task, long long value) {
  return build(task, Reply::Type::integer,
               [&](Reply& reply) { reply.integer = value; });
}

void* create_nil(const redisReadTask* task) {
  return build(task, Reply::Type::nil, [](Reply&) {});
}

void free_root(void* reply) { delete static_cast<Reply*>(reply); }

redisReplyObjectFunctions functions = {create_text, create_array,
                                       create_integer, create_nil, free_root};

}  // namespace

void append_command(std::string& out, const Command& command) {
  out += '*';
  append_number(out, command.size());
  out += "\r\n";
  for (const std::string& word : command) {
    out += '$';
    append_number(out, word.size());
    out += "\r\n";
    out += word;
    out += "\r\n";
  }
}

ReplyReader::ReplyReader()
    : reader_(redisReaderCreateWithFunctions(&functions)) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->privdata = &too_many_;
}

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

ReplyReader::Result ReplyReader::fail(Result how, std::string_view why) {
  error_ = why;
  return failed_ = how;
}

void ReplyReader::feed(std::string_view bytes) {
  if (!error_.empty()) return;
  std::size_t unread = reader_->len - reader_->pos;
  if (bytes.size() > kMaxUnreadBytes - unread) {
    fail(Result::too_big, "reply too big");
    return;
  }
  if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK) {
    fail(Result::protocol_error, "out of memory");
  }
}

ReplyReader::Result ReplyReader::next(Reply& reply) {
  if (!error_.empty()) return failed_;
  void* root = nullptr;
  if (redisReaderGetReply(reader_, &root) != REDIS_OK) {
    if (too_many_) return fail(Result::too_big, "reply too big");
    return fail(Result::protocol_error, reader_->err == REDIS_ERR_OOM
                                            ? "no memory for the reply"
                                            : "not RESP2");
  }
  if (root == nullptr) return Result::need_more;
  std::unique_ptr<Reply> owned(static_cast<Reply*>(root));
  reply = std::move(*owned);
  return Result::got;
}

}  // namespace entitle
