#include <whence/observe/http_head.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using whence::internal::parse_http_head;

TEST_CASE("a request's head gives method and path", "[observe]")
{
    struct row {
        std::string_view text, method, path;
    };
    for (const row& each : {
             row{"GET /metrics HTTP/1.0\r\n\r\n", "GET", "/metrics"},
             row{"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/metrics"},
             row{"HEAD /healthz?full=1 HTTP/1.1\r\nhOST:\r\nAccept: */*\r\n\r\n", "HEAD",
                 "/healthz"},
             row{"DELETE / HTTP/1.0\r\nX:\ta \xff\r\n\r\n", "DELETE", "/"},
         })
    {
        CAPTURE(each.text);
        const auto head = parse_http_head(each.text);
        CHECK(head.status == 200);
        CHECK(head.method == each.method);
        CHECK(head.path == each.path);
    }
}

TEST_CASE("what is no request is a bad one", "[observe]")
{
    for (const std::string_view text : {
             "\r\n\r\n",
             "GET\r\n\r\n",
             "GET /metrics\r\n\r\n",
             "GET /metrics HTTP/2.0\r\n\r\n",
             "GET /metrics HTTP/1.1\r\n\r\n",
             "GET  /metrics HTTP/1.0\r\n\r\n",
             "GET /metrics HTTP/1.0 \r\n\r\n",
             " GET /metrics HTTP/1.0\r\n\r\n",
             "GET metrics HTTP/1.0\r\n\r\n",
             "G(T /metrics HTTP/1.0\r\n\r\n",
             "GET /me\ttrics HTTP/1.0\r\n\r\n",
             "GET /m\xc3\xa9 HTTP/1.0\r\n\r\n",
             "GET /metrics HTTP/1.0\nHost: a\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
             "GET / HTTP/1.0\r\nno colon\r\n\r\n",
             "GET / HTTP/1.0\r\nnocolon\r\n\r\n",
             "GET / HTTP/1.0\r\n: empty\r\n\r\n",
             "GET / HTTP/1.0\r\nA : b\r\n\r\n",
             "GET / HTTP/1.0\r\nA: b\r\n folded\r\n\r\n",
             "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n\r\n",
         })
    {
        CAPTURE(text);
        CHECK(parse_http_head(text).status == 400);
    }
    CHECK(parse_http_head(std::string{"GET / HTTP/1.0\r\nA: \0\r\n\r\n", 24}).status == 400);
}
