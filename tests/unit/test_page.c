/* The page's files: read from a folder, and served as a browser asks for them, and as somebody who wants others. */
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include "http_server.h"
#include "hub/http/page.h"

#define INDEX_TEXT "<!doctype html><title>index</title>"
#define SCRIPT_TEXT "console.log('script');"

static char folder[] = "/tmp/cityhub-test-page-XXXXXX";
static char packed[256];
static size_t packed_length;

static void write_file(const char *name, const void *bytes, size_t length) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static void remove_file(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static int make_folder(void **state) {
    (void)state;
    char path[512];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/assets", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)SCRIPT_TEXT,
                       .avail_in = sizeof SCRIPT_TEXT - 1,
                       .next_out = (Bytef *)packed,
                       .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed_length = stream.total_out;
    deflateEnd(&stream);
    write_text("index.html", INDEX_TEXT);
    write_text("secret.html", "not the page's");
    write_text("assets/main-1a2b.js", SCRIPT_TEXT);
    write_file("assets/main-1a2b.js.gz", packed, packed_length);
    write_text("assets/look-3c4d.css", "body{}");
    write_text("assets/notes.txt", "not the page's");
    page_folder = folder;
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"index.html",
                                        "secret.html",
                                        "assets/main-1a2b.js",
                                        "assets/main-1a2b.js.gz",
                                        "assets/look-3c4d.css",
                                        "assets/notes.txt",
                                        "assets",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        remove_file(names[i]);
    }
    return 0;
}

static const struct page_file *find(const struct page *page, const char *name) {
    return page_find(page, name, strlen(name));
}

static void test_read(void **state) {
    (void)state;
    struct page *page = page_open(folder);
    assert_non_null(page);
    assert_string_equal(find(page, "")->type, "text/html; charset=utf-8");
    assert_memory_equal(find(page, "")->bytes, INDEX_TEXT, sizeof INDEX_TEXT);
    assert_null(find(page, "")->packed);
    const struct page_file *script = find(page, "main-1a2b.js");
    assert_int_equal(script->packed_length, packed_length);
    assert_memory_equal(script->packed, packed, packed_length);
    static const char *const none[] = {"index.html",    "secret.html", "notes.txt", "main-1a2b.js.gz",
                                       "../index.html", "main-1a2b.j", "."};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_null(find(page, none[i]));
    }
    page_free(page);
    assert_null(page_find(NULL, "", 0));
}

static void test_no_page(void **state) {
    (void)state;
    assert_null(page_open("/nonexistent"));
    char assets[512];
    snprintf(assets, sizeof assets, "%s/assets", folder);
    write_text("assets/index.html", INDEX_TEXT);
    assert_null(page_open(assets)); /* an index without its assets/ */
    remove_file("assets/index.html");
}

/* All of it or nothing: a page without one of its files would break in the browser. */
static void test_file_that_cannot_be_read(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/assets/huge-5e6f.js", folder);
    write_text("assets/huge-5e6f.js", "");
    assert_int_equal(truncate(path, PAGE_FILE_BYTES_MAX + 1), 0);
    assert_null(page_open(folder));
    remove_file("assets/huge-5e6f.js");
}

static void test_too_many_files(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; i < PAGE_FILES_MAX; i++) {
        snprintf(name, sizeof name, "assets/many-%d.js", i);
        write_text(name, "x");
    }
    struct page *page = page_open(folder);
    for (int i = 0; i < PAGE_FILES_MAX; i++) {
        snprintf(name, sizeof name, "assets/many-%d.js", i);
        remove_file(name);
    }
    assert_null(page);
}

static void assert_guarded(const char *answer) {
    assert_holds(answer, "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; ");
    assert_holds(answer, "frame-ancestors 'none'\r\n");
    assert_holds(answer, "\r\nX-Content-Type-Options: nosniff\r\n");
    assert_holds(answer, "\r\nReferrer-Policy: no-referrer\r\n");
    assert_holds(answer, "\r\nX-Frame-Options: DENY\r\n");
    assert_null(strstr(answer, "unsafe-"));
}

static void test_index(void **state) {
    (void)state;
    const char *answer = request("GET", "/");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), INDEX_TEXT);
    assert_holds(answer, "\r\nContent-Type: text/html; charset=utf-8\r\n");
    assert_holds(answer, "\r\nCache-Control: no-cache\r\n");
    assert_guarded(answer);
    char tag[128], head[256];
    assert_int_equal(sscanf(strstr(answer, "ETag: "), "ETag: %127[^\r]", tag), 1);
    snprintf(head, sizeof head, "If-None-Match: %s\r\n", tag);
    assert_status(request_with("GET", "/", head, ""), 304);
    assert_status(request("HEAD", "/"), 200);
    assert_status(request("GET", "/?from=a-bookmark"), 200);
    assert_problem(request("POST", "/"), 405, "CH041");
}

/* Whoever has no identity and comes from elsewhere gets the page, and nothing else. */
static void test_stranger(void **state) {
    (void)state;
    assert_status(request_by("GET", "/", "Host: hub.county.test\r\nX-Forwarded-For: 10.1.2.3\r\n", ""), 200);
    assert_status(
        request_by("GET", "/assets/look-3c4d.css", "Host: hub.county.test\r\nX-Forwarded-For: 10.1.2.3\r\n", ""), 200);
    assert_status(request_by("GET", "/api/v1/map/counts", "Host: hub.county.test\r\nX-Forwarded-For: 10.1.2.3\r\n", ""),
                  401);
}

static void test_assets(void **state) {
    (void)state;
    const char *answer = request("GET", "/assets/main-1a2b.js");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), SCRIPT_TEXT);
    assert_holds(answer, "\r\nContent-Type: text/javascript; charset=utf-8\r\n");
    assert_holds(answer, "\r\nCache-Control: public, max-age=31536000, immutable\r\n");
    assert_holds(answer, "\r\nVary: Accept-Encoding\r\n");
    assert_guarded(answer);
    answer = request_with("GET", "/assets/main-1a2b.js", "Accept-Encoding: gzip\r\n", "");
    assert_holds(answer, "\r\nContent-Encoding: gzip\r\n");
    assert_int_equal(content_length(answer), packed_length);
    assert_memory_equal(body_of(answer), packed, packed_length);
    answer = request_with("GET", "/assets/look-3c4d.css", "Accept-Encoding: gzip\r\n", "");
    assert_string_equal(body_of(answer), "body{}");
    assert_null(strcasestr(answer, "Content-Encoding"));
}

static void test_what_is_no_file_of_the_page(void **state) {
    (void)state;
    static const char *const paths[] = {"/assets/none.js",         "/assets/index.html",
                                        "/assets/notes.txt",       "/assets/..%2Findex.html",
                                        "/assets/%2e%2e",          "/assets/..%2f..%2f..%2fetc%2fpasswd",
                                        "/assets/main-1a2b.js.gz", "/assets/main-1a2b.js%20"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *answer = request("GET", paths[i]);
        assert_problem(answer, 404, "CH049");
    }
    assert_problem(request("GET", "/assets/../index.html"), 404, "CH040");
    assert_problem(request("GET", "/index.html"), 404, "CH040");
    assert_problem(request("GET", "/secret.html"), 404, "CH040");
    assert_problem(request("GET", "/assets/%00"), 400, "CH043");
    assert_problem(request("GET", "/assets/"), 404, "CH040");
    assert_alive();
}

static int setup_without(void **state) {
    page_folder = "/nonexistent";
    int code = setup(state);
    page_folder = folder;
    return code;
}

static void test_none_installed(void **state) {
    (void)state;
    const char *answer = request("GET", "/");
    assert_problem(answer, 404, "CH049");
    assert_holds(answer, "[http] page");
    assert_alive();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_no_page),
        cmocka_unit_test(test_file_that_cannot_be_read),
        cmocka_unit_test(test_too_many_files),
        cmocka_unit_test_setup_teardown(test_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stranger, setup, teardown),
        cmocka_unit_test_setup_teardown(test_assets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_file_of_the_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_installed, setup_without, teardown),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
