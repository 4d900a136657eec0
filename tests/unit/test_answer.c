/* test_answer.c: bodies in and answers out, with real sockets: limits, sinks, entity tags, compression, answers that
 * come later or stream. */
#include <zlib.h>

#include "http_server.h"

/* ---- bodies ---- */

/* The body of a refused request must not be read as the next request. */
static void test_bodies(void **state) {
    (void)state;
    static const char inner[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char *const methods[] = {"POST", "DELETE", "GET"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char text[512];
        int client = client_open();
        snprintf(text, sizeof text,
                 "%s /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 methods[i], strlen(inner), inner);
        client_say(client, text);
        const char *answer = client_rest(client);
        assert_status(answer, strcmp(methods[i], "GET") == 0 ? 200 : 405);
        assert_null(strstr(answer, "cityhub_database_connected"));
    }
    int client = client_open();
    client_say(client,
               "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
               "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const char *answer = client_rest(client);
    assert_holds(answer, "\r\n\r\nok\n");
    assert_holds(answer, "\r\n\r\nready\n");
}
static const char *post(const char *type, const char *body) {
    char head[256];
    snprintf(head, sizeof head, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, strlen(body));
    return request_with("POST", "/test/echo", head, body);
}

static void test_posted_bodies(void **state) {
    (void)state;
    const char *answer = post("application/json", "{\"a\": 1}");
    assert_status(answer, 201);
    assert_holds(answer, "Location: /test/echo/1\r\n");
    assert_string_equal(body_of(answer), "{\"a\": 1}");
    assert_status(post("Application/JSON; charset=\"UTF-8\"", "{}"), 201);
    assert_problem(post("application/json; charset=gbk", "{}"), 415, "CH046");
    assert_problem(post("text/plain", "{}"), 415, "CH046");
    assert_problem(post("application/json", ""), 400, "CH044");
    assert_problem(post("application/json", "{\"a\": \"\xff\"}"), 400, "CH044");
    char large[1002];
    memset(large, ' ', sizeof large - 1);
    large[1001] = '\0';
    assert_problem(post("application/json", large), 413, "CH045");
    large[1000] = '\0';
    assert_status(post("application/json", large), 201);
    /* a NUL, which has no length for the test's client */
    answer = request_with("POST", "/test/echo", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
                          "5\r\n{\"a\":\r\n3\r\n 2}\r\n0\r\n\r\n");
    assert_status(answer, 201);
    assert_string_equal(body_of(answer), "{\"a\": 2}");
    answer = request_with("POST", "/test/echo",
                          "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n", "{}");
    assert_problem(answer, 415, "CH046");
}

/* A chunked body does not say how long it will be. */
static void test_chunked_body_too_large(void **state) {
    (void)state;
    static char chunks[4 * 1024 * 1024];
    size_t used = 0;
    int client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        used += (size_t)snprintf(chunks + used, sizeof chunks - used, "40\r\n%064d\r\n", i);
    }
    used += (size_t)snprintf(chunks + used, sizeof chunks - used, "0\r\n\r\n");
    client_send(client, chunks, used);
    assert_problem(client_rest(client), 413, "CH045");
    /* and one that never ends is closed */
    client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    while (client_send(client, chunks, used - 5)) {
    }
    close(client);
    assert_alive();
}

static void test_expect(void **state) {
    (void)state;
    int client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
    assert_problem(client_rest(client), 413, "CH045"); /* without asking for the body */
    client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    char first[64] = "";
    assert_true(recv(client, first, sizeof first - 1, 0) > 0);
    assert_string_equal(first, "HTTP/1.1 100 Continue\r\n\r\n");
    client_say(client, "{}");
    assert_status(client_rest(client), 201);
}

static void test_sink(void **state) {
    (void)state;
    enum { BODY = 2000000 };
    static char body[BODY];
    unsigned sum = 0;
    char wanted[64];
    for (size_t i = 0; i < BODY; i++) {
        body[i] = (char)('A' + i * 7 % 50);
        sum = sum * 31 + (unsigned char)body[i];
    }
    int client = client_open();
    client_say(client, "PUT /test/sink HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
                       "Content-Length: 2000000\r\nConnection: close\r\n\r\n");
    assert_true(client_send(client, body, BODY));
    snprintf(wanted, sizeof wanted, "%d %u", BODY, sum);
    assert_string_equal(body_of(client_rest(client)), wanted);
    await_note("sink:whole");
    /* the client leaves in the middle */
    client = client_open();
    client_say(client, "PUT /test/sink HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                       "Content-Length: 2000000\r\n\r\n");
    assert_true(client_send(client, body, BODY / 2));
    close(client);
    await_note("sink:part");
    /* the sink refuses: the rest is dropped, and the answer says why */
    in_loop(clear_notes);
    client = client_open();
    client_say(client, "PUT /test/sink HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                       "Content-Length: 100000\r\nConnection: close\r\n\r\n");
    memset(body, '!', 100000);
    client_send(client, body, 100000);
    assert_problem(client_rest(client), 400, "CH044");
    await_note("sink:part");
}
/* ---- entity tags and compression ---- */

static void header_of(const char *answer, const char *name, char *value, size_t size) {
    const char *at = strcasestr(answer, name);
    value[0] = '\0';
    if (at != NULL && at < strstr(answer, "\r\n\r\n")) {
        at += strlen(name) + 2;
        snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
    }
}

static void test_etags(void **state) {
    (void)state;
    char tag[128], head[256];
    header_of(request("GET", "/test/sized/2000"), "ETag", tag, sizeof tag);
    assert_int_equal(strlen(tag), 34);
    snprintf(head, sizeof head, "If-None-Match: \"other\", W/%s\r\n", tag);
    const char *answer = request_with("GET", "/test/sized/2000", head, "");
    assert_status(answer, 304);
    assert_holds(answer, tag);
    assert_holds(answer, "Cache-Control: private, no-cache\r\n");
    assert_string_equal(body_of(answer), "");
    assert_status(request_with("HEAD", "/test/sized/2000", head, ""), 304);
    assert_status(request_with("GET", "/test/sized/2001", head, ""), 200);
    assert_status(request_with("GET", "/test/sized/2000", "If-None-Match: *\r\n", ""), 304);
    assert_status(request_with("GET", "/test/sized/2000", "If-None-Match: gibberish\r\n", ""), 200);
    assert_status(request_with("GET", "/test/echo", "If-None-Match: \"7-1\"\r\n", ""), 304);
    answer = request_with("GET", "/test/echo", "If-None-Match: \"7-2\"\r\n", "");
    assert_status(answer, 200);
    assert_holds(answer, "ETag: \"7-1\"\r\n");
}

/* The body, with chunks put together and gzip taken off. */
static size_t whole_body(const char *answer, size_t length, char *whole, size_t size) {
    static char packed[ANSWER_MAX];
    const char *at = body_of(answer), *end = answer + length;
    size_t packed_length = 0;
    bool chunked = strcasestr(answer, "Transfer-Encoding: chunked") != NULL;
    while (at < end) {
        char *behind = (char *)(uintptr_t)at;
        size_t piece = chunked ? strtoul(at, &behind, 16) : (size_t)(end - at);
        at = behind + (chunked ? 2 : 0);
        memcpy(packed + packed_length, at, piece);
        packed_length += piece;
        at += piece + (chunked ? 2 : 0);
        if (chunked && piece == 0) {
            break;
        }
    }
    if (strcasestr(answer, "Content-Encoding: gzip") == NULL) {
        memcpy(whole, packed, packed_length);
        return packed_length;
    }
    z_stream stream = {.next_in = (Bytef *)packed,
                       .avail_in = (uInt)packed_length,
                       .next_out = (Bytef *)whole,
                       .avail_out = (uInt)size};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    return size - stream.avail_out;
}

static void test_gzip(void **state) {
    (void)state;
    static const struct {
        const char *path, *accept;
        size_t size;
        bool packed, chunked;
    } cases[] = {
        {"/test/sized/1023", "gzip", 1023, false, false},
        {"/test/sized/1024", "gzip", 1024, true, false},
        {"/test/sized/1024", "deflate, br", 1024, false, false},
        {"/test/sized/1024", "gzip;q=0, *", 1024, false, false},
        {"/test/sized/1024", "identity;q=0.5, *;q=0.1", 1024, true, false},
        {"/test/sized/65536", "gzip", 65536, true, false},
        {"/test/sized/65537", "gzip", 65537, true, true},
        {"/test/sized/5000000", "gzip", 5000000, true, true},
        {"/test/sized/30000?noise=true", "gzip", 30000, false, false},
        {"/test/sized/200000?noise=true", "gzip", 200000, true, true},
        {"/test/sized/0", "gzip", 0, false, false},
        {"/test/stream?pieces=50", "gzip", 50000, true, true},
        {"/test/stream?pieces=50", "identity", 50000, false, true},
    };
    static char whole[6000000];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[300], tag[128];
        snprintf(head, sizeof head, "Accept-Encoding: %s\r\n", cases[i].accept);
        const char *answer = request_with("GET", cases[i].path, head, "");
        assert_status(answer, 200);
        bool packed = strcasestr(answer, "Content-Encoding: gzip\r\n") != NULL;
        bool chunked = strcasestr(answer, "Transfer-Encoding: chunked\r\n") != NULL;
        if (packed != cases[i].packed || chunked != cases[i].chunked) {
            fail_msg("%s, %s: compressed %d, chunked %d", cases[i].path, cases[i].accept, packed, chunked);
        }
        assert_holds(answer, "Vary: Accept-Encoding\r\n");
        header_of(answer, "ETag", tag, sizeof tag);
        assert_int_equal(packed && tag[0] != '\0', strstr(tag, "-gzip\"") != NULL);
        assert_int_equal(whole_body(answer, answer_length, whole, sizeof whole), cases[i].size);
        if (tag[0] != '\0') {
            snprintf(head, sizeof head, "Accept-Encoding: %s\r\nIf-None-Match: %s\r\n", cases[i].accept, tag);
            assert_status(request_with("GET", cases[i].path, head, ""), 304);
        }
    }
}
/* ---- answers that take their time ---- */

static void test_later(void **state) {
    (void)state;
    const char *answer = request("GET", "/test/later?ms=50");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "at last");
    assert_problem(request("GET", "/test/later"), 504, "CH052");
    await_note("later:late");
    int client = client_open();
    client_say(client, "GET /test/later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(50000);
    close(client);
    await_note("later:left");
}

static void test_streams(void **state) {
    (void)state;
    static char whole[100000];
    const char *answer = request("GET", "/test/stream?pieces=20&gap=5");
    assert_status(answer, 200);
    assert_int_equal(whole_body(answer, answer_length, whole, sizeof whole), 20000);
    await_note("stream:whole");
    /* HTTP/1.0 has no chunks: the end is the connection's */
    int client = client_open();
    client_say(client, "GET /test/stream?pieces=3 HTTP/1.0\r\n\r\n");
    answer = client_rest(client);
    assert_null(strcasestr(answer, "chunked"));
    assert_int_equal(strlen(body_of(answer)), 3000);
    /* a source that breaks off: no last chunk */
    answer = request("GET", "/test/stream?pieces=3&broken=true");
    assert_null(strstr(answer, "\r\n0\r\n"));
    await_note("stream:broken");
    assert_string_equal(body_of(request("HEAD", "/test/stream?pieces=3")), "");
    /* over its time */
    client = client_open();
    client_say(client, "GET /test/stream?pieces=10000&gap=100 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_null(strstr(client_rest(client), "\r\n0\r\n"));
    await_note("stream:late");
    /* two on one connection */
    client = client_open();
    client_say(client, "GET /test/stream?pieces=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                       "GET /test/stream?pieces=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    answer = client_rest(client);
    assert_non_null(strstr(strstr(answer, "200 OK") + 1, "200 OK"));
}

/* A live stream has no end; a client that does not read, or leaves, is noticed. */
static void test_live(void **state) {
    (void)state;
    char piece[4096];
    int client = client_open();
    client_say(client, "GET /test/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(recv(client, piece, sizeof piece, 0) > 0);
    await_note("stream:slow");
    close(client);
    in_loop(clear_notes);
    client = client_open();
    client_say(client, "GET /test/live?pieces=2&gap=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_holds(client_rest(client), "X-Accel-Buffering: no\r\n");
    await_note("stream:whole");
    client = client_open();
    client_say(client, "GET /test/live?pieces=10000&gap=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(50000);
    shutdown(client, SHUT_WR);
    await_note("stream:left");
    close(client);
}
int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_posted_bodies), WITH_SERVER(test_chunked_body_too_large),
        WITH_SERVER(test_expect),        WITH_SERVER(test_sink),
        WITH_SERVER(test_etags),         WITH_SERVER(test_gzip),
        WITH_SERVER(test_later),         cmocka_unit_test_setup_teardown(test_streams, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_live, setup_patient, teardown),          WITH_SERVER(test_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
