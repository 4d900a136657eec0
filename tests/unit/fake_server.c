/* fake_server.c: a PostgreSQL server played by a test. */
#include "fake_server.h"

#include <endian.h>
#include <unistd.h>

#include "hub/base/count.h"
#include "hub/migrate/sql_script.h"

enum { PROTOCOL_3 = 196608, TURNS_MAX = 10000 };

/* ---- writing ---- */

struct sent {
    uv_write_t write;
    struct buffer bytes;
};

static void written(uv_write_t *write, int status) {
    (void)status;
    struct sent *sent = write->data;
    buffer_free(&sent->bytes);
    free(sent);
}

/* A message: its type, its length, its body. */
static void send_message(struct fake_server *server, char type, const struct buffer *body) {
    struct sent *sent = calloc(1, sizeof *sent);
    assert_non_null(sent);
    assert_non_null(server->connection);
    buffer_bytes(&sent->bytes, &type, 1);
    buffer_int32(&sent->bytes, (int32_t)(body->length + 4));
    buffer_bytes(&sent->bytes, body->data, body->length);
    sent->write.data = sent;
    uv_buf_t piece = uv_buf_init(sent->bytes.data, (unsigned)sent->bytes.length);
    assert_int_equal(uv_write(&sent->write, (uv_stream_t *)server->connection, &piece, 1, written), 0);
}

static void send_and_free(struct fake_server *server, char type, struct buffer *body) {
    send_message(server, type, body);
    buffer_free(body);
}

static void add_text(struct buffer *body, const char *text) {
    buffer_bytes(body, text, strlen(text) + 1);
}

void fake_server_complete(struct fake_server *server, const char *tag) {
    struct buffer body = {0};
    add_text(&body, tag);
    send_and_free(server, 'C', &body);
}

void fake_server_prepared(struct fake_server *server) {
    struct buffer nothing = {0};
    send_message(server, '1', &nothing);
}

void fake_server_bound(struct fake_server *server) {
    struct buffer nothing = {0};
    send_message(server, '2', &nothing);
}

void fake_server_understood(struct fake_server *server) {
    fake_server_prepared(server);
    fake_server_bound(server);
}

void fake_server_describe(struct fake_server *server, int columns) {
    struct buffer body = {0};
    buffer_int16(&body, (int16_t)columns);
    for (int i = 0; i < columns; i++) {
        add_text(&body, "column");
        buffer_int32(&body, 0); /* table */
        buffer_int16(&body, 0);
        buffer_int32(&body, 25); /* text */
        buffer_int16(&body, -1);
        buffer_int32(&body, -1);
        buffer_int16(&body, 0);
    }
    send_and_free(server, 'T', &body);
}

void fake_server_row(struct fake_server *server, int columns, const char *const *values) {
    struct buffer body = {0};
    buffer_int16(&body, (int16_t)columns);
    for (int i = 0; i < columns; i++) {
        buffer_int32(&body, (int32_t)strlen(values[i]));
        buffer_text(&body, values[i]);
    }
    send_and_free(server, 'D', &body);
}

void fake_server_rows(struct fake_server *server, int columns, const char *const *values, int count) {
    fake_server_describe(server, columns);
    for (int at = 0; at < count; at += columns) {
        fake_server_row(server, columns, values + at);
    }
    fake_server_complete(server, "SELECT");
}

static void send_report(struct fake_server *server, char type, const char *severity, const char *sqlstate,
                        const char *message) {
    struct buffer body = {0};
    const char *const fields[] = {"S", severity, "V", severity, "C", sqlstate, "M", message, "H", "ask for less"};
    for (size_t i = 0; i < COUNT_OF(fields); i += 2) {
        buffer_bytes(&body, fields[i], 1);
        add_text(&body, fields[i + 1]);
    }
    add_text(&body, "");
    send_and_free(server, type, &body);
}

void fake_server_error(struct fake_server *server, const char *severity, const char *sqlstate, const char *message) {
    send_report(server, 'E', severity, sqlstate, message);
}

void fake_server_notice(struct fake_server *server, const char *severity, const char *message) {
    send_report(server, 'N', severity, "00000", message);
}

void fake_server_copy_in(struct fake_server *server) {
    struct buffer body = {0};
    buffer_bytes(&body, "\1", 1); /* binary */
    buffer_int16(&body, 0);
    buffer_reset(&server->copied, 0);
    server->copy_end = 0;
    send_and_free(server, 'G', &body);
}

void fake_server_notify(struct fake_server *server, const char *channel, const char *payload) {
    struct buffer body = {0};
    buffer_int32(&body, 4711);
    add_text(&body, channel);
    add_text(&body, payload);
    send_and_free(server, 'A', &body);
}

void fake_server_ready(struct fake_server *server, char status) {
    struct buffer body = {0};
    buffer_bytes(&body, &status, 1);
    buffer_reset(&server->sql, 0);
    send_and_free(server, 'Z', &body);
}

/* ---- reading ---- */

static void greet(struct fake_server *server) {
    static const char *const parameters[][2] = {
        {"server_version", "15.0"}, {"client_encoding", "UTF8"}, {"standard_conforming_strings", "on"}};
    struct buffer body = {0};
    buffer_int32(&body, 0); /* AuthenticationOk */
    send_and_free(server, 'R', &body);
    for (size_t i = 0; i < COUNT_OF(parameters); i++) {
        add_text(&body, parameters[i][0]);
        add_text(&body, parameters[i][1]);
        send_and_free(server, 'S', &body);
    }
    buffer_int64(&body, 42); /* process and key */
    send_and_free(server, 'K', &body);
    fake_server_ready(server, 'I');
}

static void take_startup(struct fake_server *server, const char *body, size_t length) {
    server->startup[0] = '\0';
    const char *at = body + 4;
    while (at < body + length && *at != '\0') {
        const char *value = at + strlen(at) + 1;
        size_t used = strlen(server->startup);
        snprintf(server->startup + used, sizeof server->startup - used, "%s=%s ", at, value);
        at = value + strlen(value) + 1;
    }
    if (!server->mute) {
        greet(server);
    }
}

static void take_query(struct fake_server *server, const char *sql) {
    if (server->fresh && server->sets_up) {
        struct sql_script script = {.text = sql, .line = 1};
        struct sql_statement statement;
        buffer_reset(&server->setup, 0);
        add_text(&server->setup, sql);
        while (sql_script_next(&script, &statement)) {
            fake_server_complete(server, "SET");
        }
        fake_server_ready(server, 'I');
    } else {
        buffer_reset(&server->sql, 0);
        add_text(&server->sql, sql);
        server->queries++;
    }
    server->fresh = false;
}

static int32_t take_number(const char **at, size_t size) {
    uint32_t number = 0;
    memcpy((char *)&number + sizeof number - size, *at, size);
    *at += size;
    return size == 2 ? (int16_t)be32toh(number) : (int32_t)be32toh(number);
}

/* Parameters: names of portal and statement, formats, values. */
static void take_parameters(struct fake_server *server, const char *body) {
    const char *at = body + strlen(body) + 1;
    snprintf(server->statement, sizeof server->statement, "%s", at);
    server->bindings++;
    at += strlen(at) + 1;
    int32_t formats = take_number(&at, 2);
    at += 2 * formats;
    server->bound[0] = '\0';
    for (int32_t count = take_number(&at, 2); count > 0; count--) {
        int32_t length = take_number(&at, 4);
        size_t used = strlen(server->bound);
        snprintf(server->bound + used, sizeof server->bound - used, "%.*s ", length < 0 ? 1 : length,
                 length < 0 ? "-" : at);
        at += length < 0 ? 0 : length;
    }
}

static void take_message(struct fake_server *server, char type, const char *body, size_t length) {
    switch (type) {
    case 'P': /* the statement's name, its text; 'S' comes last and asks for the answer, but that is known by now */
        take_query(server, body + strlen(body) + 1);
        break;
    case 'B':
        take_parameters(server, body);
        break;
    case 'Q':
        take_query(server, body);
        break;
    case 'd':
        buffer_bytes(&server->copied, body, length);
        break;
    case 'f':
        snprintf(server->copy_error, sizeof server->copy_error, "%s", body);
        server->copy_end = type;
        break;
    case 'c':
        server->copy_end = type;
        break;
    default: /* 'X': it ends the connection */
        break;
    }
}

/* The first message of a connection has no type. */
static void take_bytes(struct fake_server *server) {
    struct buffer *got = &server->got;
    for (;;) {
        bool first = server->startup[0] == '\0';
        size_t head = first ? 4 : 5;
        uint32_t length;
        if (got->length < head) {
            return;
        }
        memcpy(&length, got->data + head - 4, sizeof length);
        length = be32toh(length);
        if (got->length < head - 4 + length) {
            return;
        }
        if (first) {
            take_startup(server, got->data + 4, length - 4);
        } else {
            take_message(server, got->data[0], got->data + 5, length - 4);
        }
        got->length -= head - 4 + length;
        memmove(got->data, got->data + head - 4 + length, got->length);
    }
}

static void give_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room) {
    static char bytes[65536];
    (void)handle, (void)wanted;
    *room = uv_buf_init(bytes, sizeof bytes);
}

static void connection_closed(uv_handle_t *handle) {
    free(handle);
}

void fake_server_hang_up(struct fake_server *server) {
    if (server->connection != NULL) {
        uv_close((uv_handle_t *)server->connection, connection_closed);
        server->connection = NULL;
    }
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *bytes) {
    struct fake_server *server = stream->data;
    if ((uv_pipe_t *)stream != server->connection) {
        return;
    }
    if (length < 0) {
        fake_server_hang_up(server);
    } else {
        buffer_bytes(&server->got, bytes->base, (size_t)length);
        take_bytes(server);
    }
}

static void on_connection(uv_stream_t *listener, int status) {
    struct fake_server *server = listener->data;
    assert_int_equal(status, 0);
    fake_server_hang_up(server);
    server->connection = calloc(1, sizeof *server->connection);
    assert_non_null(server->connection);
    assert_int_equal(uv_pipe_init(server->loop, server->connection, 0), 0);
    server->connection->data = server;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)server->connection), 0);
    server->connections++;
    server->fresh = true;
    server->startup[0] = '\0';
    buffer_reset(&server->got, 0);
    buffer_reset(&server->sql, 0);
    if (server->refuses) {
        fake_server_hang_up(server);
    } else {
        fake_server_pause(server, false);
    }
}

void fake_server_pause(struct fake_server *server, bool pause) {
    uv_stream_t *stream = (uv_stream_t *)server->connection;
    if (pause) {
        uv_read_stop(stream);
    } else {
        assert_int_equal(uv_read_start(stream, give_room, on_read), 0);
    }
}

/* ---- what tests call ---- */

static void listen_again(struct fake_server *server) {
    assert_int_equal(uv_pipe_init(server->loop, &server->listener, 0), 0);
    server->listener.data = server;
    assert_int_equal(uv_pipe_bind(&server->listener, server->path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&server->listener, 8, on_connection), 0);
}

void fake_server_begin(struct fake_server *server, uv_loop_t *loop) {
    *server = (struct fake_server){.loop = loop, .sets_up = true};
    snprintf(server->folder, sizeof server->folder, "/tmp/fake_server.XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->path, sizeof server->path, "%s/.s.PGSQL.5432", server->folder);
    snprintf(server->conninfo, sizeof server->conninfo,
             "host=%s port=5432 user=hub password=s3cret dbname=city sslmode=disable gssencmode=disable",
             server->folder);
    listen_again(server);
}

void fake_server_away(struct fake_server *server, bool away) {
    if (away) {
        uv_close((uv_handle_t *)&server->listener, NULL); /* and removes the socket */
        fake_server_hang_up(server);
        fake_loop_turn(server->loop);
    } else {
        listen_again(server);
    }
}

void fake_server_end(struct fake_server *server) {
    fake_server_hang_up(server);
    if (!uv_is_closing((uv_handle_t *)&server->listener)) {
        uv_close((uv_handle_t *)&server->listener, NULL);
    }
    fake_loop_turn(server->loop);
    rmdir(server->folder);
    buffer_free(&server->got);
    buffer_free(&server->sql);
    buffer_free(&server->setup);
    buffer_free(&server->copied);
}

void fake_server_await(struct fake_server *server, const char *word) {
    for (int i = 0; i < TURNS_MAX; i++) {
        if (server->sql.length > 0 && strstr(server->sql.data, word) != NULL) {
            return;
        }
        uv_run(server->loop, UV_RUN_NOWAIT);
    }
    fail_msg("no query with \"%s\" came; the last was: %s", word, server->sql.length == 0 ? "" : server->sql.data);
}

void fake_server_await_binding(struct fake_server *server, int bindings) {
    for (int i = 0; i < TURNS_MAX && server->bindings < bindings; i++) {
        uv_run(server->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(server->bindings, bindings);
}

void fake_server_await_copy(struct fake_server *server) {
    for (int i = 0; i < TURNS_MAX && server->copy_end == 0; i++) {
        uv_run(server->loop, UV_RUN_NOWAIT);
    }
    assert_true(server->copy_end != 0);
}
