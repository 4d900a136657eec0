/* writing.h: a writer over connections without a server, and batches to give it, for its tests. */
#ifndef CITYHUB_TEST_WRITING_H
#define CITYHUB_TEST_WRITING_H

#include "copied.h"
#include "fake_postgres.h"
#include "fake_world.h"

#include "hub/base/count.h"
#include "hub/store/writer.h"

enum { WRITING_BATCHES = 4 };

struct writing {
    struct fake_world *world;
    struct writer *writer;
    struct written {
        struct writing *writing;
        struct batch batch;
        struct writer_job job;
        int committed; /* how often */
        int place;     /* in the order of commits, from 1 */
    } written[WRITING_BATCHES];
    int commits;
    int outbox_written;
    int others; /* connections that a failed test has left */
};

static inline void writing_committed(void *user) {
    struct written *written = user;
    written->committed++;
    written->place = ++written->writing->commits;
}

static inline void writing_outbox(void *user) {
    ((struct writing *)user)->outbox_written++;
}

static inline struct writing *writing_begin(int writers) {
    struct writing *writing = calloc(1, sizeof *writing);
    void *world;
    assert_non_null(writing);
    assert_int_equal(fake_world_begin(&world), 0);
    writing->world = world;
    writing->others = fake_postgres_count();
    writing->world->config.database_writers = writers;
    writing->writer = writer_open(&writing->world->loop, &writing->world->config, writing_outbox, writing);
    assert_non_null(writing->writer);
    assert_int_equal(fake_postgres_count() - writing->others, writers);
    for (size_t i = 0; i < WRITING_BATCHES; i++) {
        struct written *written = &writing->written[i];
        written->writing = writing;
        written->job = (struct writer_job){.batch = &written->batch, .committed = writing_committed, .user = written};
        written->batch.metrics = writing->world->metrics;
    }
    fake_loop_turn(&writing->world->loop);
    return writing;
}

static inline void writing_end(struct writing *writing) {
    void *world = writing->world;
    writer_close(writing->writer, NULL, NULL);
    fake_loop_turn(&writing->world->loop);
    assert_int_equal(fake_postgres_count(), writing->others);
    for (size_t i = 0; i < WRITING_BATCHES; i++) {
        batch_free(&writing->written[i].batch);
    }
    fake_world_end(&world);
    free(writing);
}

/* One message more for a batch, with a record of the device. */
static inline void writing_message(struct writing *writing, int batch, const char *name, struct device *device,
                                   int64_t at_ms) {
    fake_world_message(writing->world, &writing->written[batch].batch, name);
    fake_world_record(writing->world, &writing->written[batch].batch, device, at_ms, 10);
}

static inline void writing_submit(struct writing *writing, int batch) {
    writer_submit(writing->writer, &writing->written[batch].job);
}

/* Whether two statements write, or ask for, a batch_log row of the same id, kept by writing_id. */
struct writing_id {
    char text[40];
};
static inline struct writing_id writing_id(const struct postgres *session) {
    struct writing_id id = {{0}};
    const char *sql = fake_postgres_sql(session);
    const char *at = strstr(sql, "b.id = '");
    at = at != NULL ? at : strstr(sql, "records) VALUES ('");
    assert_non_null(at);
    memcpy(id.text, strchr(at, '\'') + 1, 36);
    return id;
}
static inline bool writing_is(const struct postgres *session, struct writing_id id) {
    return strcmp(writing_id(session).text, id.text) == 0;
}

/* The stamp of the batch_log row in the running job. */
static inline int64_t writing_stamp(const struct postgres *session) {
    static const char before[] = "'epoch'::timestamptz + ";
    const char *at = strstr(fake_postgres_sql(session), before);
    assert_non_null(at);
    return strtoll(at + strlen(before), NULL, 10);
}

#endif
