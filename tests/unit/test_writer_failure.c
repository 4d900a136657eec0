/* test_writer_failure.c: every way in which storing a batch can fail: what is tried again and when, what goes to
 * quarantine, and above all that a batch is called committed once, and only if it is: answers of COMMIT that are lost,
 * of transactions that were committed, were not, or are found later. */
#include "writing.h"

#define ASKED "SELECT 1 FROM onemap.batch_log b"
#define FOUND                                                                                                          \
    { ANSWER("batch_log", 1, "1") }

static struct postgres *one(void) {
    return fake_postgres("writer-1");
}

/* One message of a device with an id is about to be stored: its partition has been made. */
static struct writing *begin(void) {
    struct writing *writing = writing_begin(1);
    writing_message(writing, 0, "m", fake_world_device(writing->world, "T-1", 5), FAKE_NOW_MS);
    writing_submit(writing, 0);
    PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"});
    fake_postgres_await(&writing->world->loop, one());
    return writing;
}

static void expect_committed(const struct writing *writing, int commits) {
    assert_int_equal(writing->commits, commits);
    assert_int_equal(writing->written[0].committed, commits);
    assert_string_equal(fake_postgres_sql(one()), "");
}

/* ---- what each SQLSTATE means when a batch is stored ---- */

enum outcome { RETRIED, REFUSED, SETTLED, REPAIRED, PARTITIONED, ASKED_FOR };

static const struct {
    enum outcome outcome;
    const char *next;       /* the job after the failure has this in it, ... */
    const char *next_lacks; /* ... and not this */
    bool waits;
} outcomes[] = {
    [RETRIED] = {RETRIED, "COPY onemap.observation", "quarantine", true},
    [REFUSED] = {REFUSED, "COPY pg_temp.quarantine_stage", "observation", false},
    [SETTLED] = {SETTLED, "observation_settle", "COMMIT", false},
    [REPAIRED] = {REPAIRED, "JOIN onemap.device d", "COPY", false},
    [PARTITIONED] = {PARTITIONED, "partition_ensure", "COPY", false},
    [ASKED_FOR] = {ASKED_FOR, ASKED, "COPY", true},
};

static const struct {
    const char *sqlstate;
    enum outcome outcome;
} states[] = {
    {"", ASKED_FOR},        /* the connection was lost */
    {"08006", RETRIED},     /* connection failure */
    {"25006", RETRIED},     /* read-only: a standby */
    {"3F000", RETRIED},     /* no schema: not migrated */
    {"40001", RETRIED},     /* serialization failure */
    {"40P01", RETRIED},     /* deadlock */
    {"42501", RETRIED},     /* a right is missing */
    {"42P01", RETRIED},     /* a table is missing */
    {"42883", RETRIED},     /* a function is missing */
    {"53100", RETRIED},     /* disk full */
    {"53200", RETRIED},     /* out of memory */
    {"53300", RETRIED},     /* too many connections */
    {"55P03", RETRIED},     /* lock not available */
    {"57014", RETRIED},     /* statement_timeout */
    {"57P01", RETRIED},     /* shutdown */
    {"57P03", RETRIED},     /* starting up */
    {"58030", RETRIED},     /* I/O error */
    {"F0000", RETRIED},     /* its configuration file */
    {"XX000", RETRIED},     /* internal error */
    {"XX001", RETRIED},     /* data corrupted */
    {"0A000", REFUSED},     /* feature not supported */
    {"21000", REFUSED},     /* cardinality */
    {"22003", REFUSED},     /* out of range */
    {"22008", REFUSED},     /* time out of range */
    {"22021", REFUSED},     /* not in repertoire */
    {"22P02", REFUSED},     /* no such value */
    {"22P05", REFUSED},     /* no such character in the database's encoding */
    {"23502", REFUSED},     /* not null */
    {"23503", REFUSED},     /* foreign key */
    {"23P01", REFUSED},     /* exclusion */
    {"54000", REFUSED},     /* program limit */
    {"CH002", REFUSED},     /* ours: unknown reference */
    {"P0001", REFUSED},     /* raised */
    {"23505", SETTLED},     /* a row is there already */
    {"CH001", REPAIRED},    /* ours: a device has another id */
    {"23514", PARTITIONED}, /* no partition */
};

static void test_states(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        struct writing *writing = begin();
        uv_loop_t *loop = &writing->world->loop;
        const enum outcome outcome = states[i].outcome;
        fake_postgres_fail(one(), states[i].sqlstate, "made to fail");
        assert_int_equal(writing->commits, 0);
        fake_loop_turn(loop);
        bool waits = fake_postgres_sql(one())[0] == '\0';
        fake_postgres_await(loop, one());
        const char *sql = fake_postgres_sql(one());
        if (waits != outcomes[outcome].waits || strstr(sql, outcomes[outcome].next) == NULL ||
            strstr(sql, outcomes[outcome].next_lacks) != NULL) {
            fail_msg("after %s there comes, %s:\n%s", states[i].sqlstate, waits ? "later" : "at once", sql);
        }
        assert_int_equal(writing->world->metrics->batch_failures, outcomes[outcome].waits);
        assert_int_equal(writing->commits, 0);
        writing_end(writing);
    }
}

/* Before anything is stored, no message is at fault, whatever the database says: partitions, ids, real ids. */
static void test_states_before_storing(void **state) {
    (void)state;
    static const char *const words[] = {"nextval", "partition_ensure", "JOIN onemap.device d"};
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        for (size_t step = 0; step < COUNT_OF(words); step++) {
            struct writing *writing = writing_begin(1);
            uv_loop_t *loop = &writing->world->loop;
            writing_message(writing, 0, "m", fake_world_device(writing->world, "T-1", 0), FAKE_NOW_MS);
            writing_submit(writing, 0);
            for (size_t before = 0; before < step; before++) {
                PLAY(loop, one(), {.expects = words[before], .answers = {ANSWER("nextval", 1, "5")}});
                if (before == 1) {
                    PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = "CH001"});
                }
            }
            PLAY(loop, one(), {.expects = words[step], .sqlstate = states[i].sqlstate});
            fake_loop_turn(loop);
            assert_string_equal(fake_postgres_sql(one()), ""); /* not at once */
            fake_postgres_await(loop, one());
            assert_null(strstr(fake_postgres_sql(one()), "quarantine"));
            assert_null(strstr(fake_postgres_sql(one()), "settle"));
            assert_null(strstr(fake_postgres_sql(one()), ASKED)); /* nothing can have been committed */
            assert_int_equal(writing->world->metrics->batch_failures, 1);
            writing_end(writing);
        }
    }
}

/* ---- lost answers ---- */

/* It was committed: nothing is stored a second time, receipts are looked for. */
static void test_lost_and_committed(void **state) {
    (void)state;
    struct writing *writing = begin();
    struct writing_id id = writing_id(one());
    fake_postgres_lose(one());
    fake_loop_pass(&writing->world->loop, 99);
    assert_string_equal(fake_postgres_sql(one()), ""); /* there is no connection to ask with */
    fake_postgres_await(&writing->world->loop, one());
    assert_true(writing_is(one(), id));
    assert_int_equal(writing->commits, 0);
    PLAY(&writing->world->loop, one(), {.expects = ASKED, .answers = FOUND});
    expect_committed(writing, 1);
    assert_int_equal(writing->outbox_written, 1);
    writing_end(writing);
}

/* It was not: the same is stored again, under the same id, so that both can never be there. */
static void test_lost_and_not_committed(void **state) {
    (void)state;
    struct writing *writing = begin();
    struct writing_id id = writing_id(one());
    fake_postgres_lose(one());
    PLAY(&writing->world->loop, one(), {.expects = ASKED});
    fake_postgres_await(&writing->world->loop, one());
    assert_true(writing_is(one(), id));
    assert_int_equal(writing->commits, 0);
    PLAY(&writing->world->loop, one(), {.expects = "COPY onemap.observation"});
    expect_committed(writing, 1);
    writing_end(writing);
}

/* The server was still at it when it was asked: the second try meets what the first has stored. */
static void test_found_late(void **state) {
    (void)state;
    struct writing *writing = begin();
    struct writing_id id = writing_id(one());
    fake_postgres_lose(one());
    PLAY(&writing->world->loop, one(), {.expects = ASKED},
         {.expects = "COPY onemap.observation", .sqlstate = "23505", .at = "COPY onemap.observation"});
    fake_postgres_await(&writing->world->loop, one());
    assert_true(writing_is(one(), id));
    PLAY(&writing->world->loop, one(), {.expects = ASKED, .answers = FOUND});
    expect_committed(writing, 1);
    writing_end(writing);
}

/* What the second try has met was of another batch: the slow path, under another id. */
static void test_not_found_and_duplicate(void **state) {
    (void)state;
    struct writing *writing = begin();
    struct writing_id id = writing_id(one());
    fake_postgres_lose(one());
    PLAY(&writing->world->loop, one(), {.expects = ASKED},
         {.expects = "COPY onemap.observation", .sqlstate = "23505", .at = "COPY onemap.observation"},
         {.expects = ASKED}, {.expects = "observation_settle", .answers = {ANSWER("observation_settle", 2, "1", "1")}});
    fake_postgres_await(&writing->world->loop, one());
    assert_false(writing_is(one(), id));
    PLAY(&writing->world->loop, one(), {.expects = "INSERT INTO onemap.batch_log"});
    expect_committed(writing, 1);
    assert_int_equal(writing->world->metrics->records_duplicate, 1);
    writing_end(writing);
}

/* Lost a second time, on the second try: asked again, each time before anything else. */
static void test_lost_twice(void **state) {
    (void)state;
    for (int found = 0; found < 2; found++) {
        struct writing *writing = begin();
        fake_postgres_lose(one());
        PLAY(&writing->world->loop, one(), {.expects = ASKED}, {.expects = "COPY onemap", .sqlstate = ""});
        fake_postgres_await(&writing->world->loop, one());
        assert_non_null(strstr(fake_postgres_sql(one()), ASKED));
        if (found == 1) {
            fake_postgres_end(one(), &(struct fake_act){.answers = FOUND});
        } else {
            fake_postgres_succeed(one());
            PLAY(&writing->world->loop, one(), {.expects = "COPY onemap.observation"});
        }
        expect_committed(writing, 1);
        writing_end(writing);
    }
}

/* The question's own answer is lost, or refused for whatever reason: it is asked again, and nothing is stored before.
 */
static void test_question_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        struct writing *writing = begin();
        fake_postgres_lose(one());
        PLAY(&writing->world->loop, one(), {.expects = ASKED, .sqlstate = states[i].sqlstate},
             {.expects = ASKED, .sqlstate = states[i].sqlstate}, {.expects = ASKED, .answers = FOUND});
        expect_committed(writing, 1);
        assert_int_equal(writing->world->metrics->batch_failures, 3);
        writing_end(writing);
    }
}

/* The slow path: lost in its first half nothing can be committed; in its second it may be. */
static void test_lost_when_settling(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct writing *writing = begin();
        uv_loop_t *loop = &writing->world->loop;
        fake_postgres_fail(one(), "23505", "made to fail");
        if (half == 0) {
            PLAY(loop, one(), {.expects = "observation_settle", .sqlstate = ""}, {.expects = "observation_settle"},
                 {.expects = "INSERT INTO onemap.batch_log"});
        } else {
            PLAY(loop, one(), {.expects = "observation_settle"},
                 {.expects = "INSERT INTO onemap.batch_log", .sqlstate = ""}, {.expects = ASKED, .answers = FOUND});
        }
        expect_committed(writing, 1);
        writing_end(writing);
    }
}

/* A transaction given up for lost was not committed, and its second try is refused for the message's fault. */
static void test_lost_and_refused(void **state) {
    (void)state;
    struct writing *writing = begin();
    fake_postgres_lose(one());
    PLAY(&writing->world->loop, one(), {.expects = ASKED},
         {.expects = "COPY onemap.observation", .sqlstate = "22003", .at = "COPY"},
         {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation"});
    expect_committed(writing, 1);
    assert_int_equal(writing->world->metrics->messages_quarantined, 1);
    writing_end(writing);
}

/* Of a divided batch the answer of one message's COMMIT is lost: that one is asked for, the others go on. */
static void test_lost_when_divided(void **state) {
    (void)state;
    for (int found = 0; found < 2; found++) {
        struct writing *writing = writing_begin(1);
        struct device *device = fake_world_device(writing->world, "T-1", 5);
        for (int i = 0; i < 3; i++) {
            writing_message(writing, 0, "m", device, FAKE_NOW_MS + i);
        }
        writing_submit(writing, 0);
        PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"},
             {.expects = ", 3);", .sqlstate = "22003", .at = "COPY"}, {.expects = ", 1);"});
        fake_postgres_await(&writing->world->loop, one());
        struct writing_id id = writing_id(one());
        PLAY(&writing->world->loop, one(), {.expects = ", 1);", .sqlstate = ""});
        fake_postgres_await(&writing->world->loop, one());
        assert_true(writing_is(one(), id));
        if (found == 1) {
            fake_postgres_end(one(), &(struct fake_act){.answers = FOUND});
        } else {
            fake_postgres_succeed(one());
            PLAY(&writing->world->loop, one(), {.expects = ", 1);"});
        }
        assert_int_equal(writing->commits, 0); /* the third is not stored yet */
        fake_postgres_await(&writing->world->loop, one());
        assert_false(writing_is(one(), id));
        PLAY(&writing->world->loop, one(), {.expects = ", 1);"});
        expect_committed(writing, 1);
        assert_int_equal(writing->world->metrics->records_committed, 3);
        writing_end(writing);
    }
}

/* ---- what can be put right at once, a few times ---- */

/* Another hub has registered the device: its id is asked for and taken. */
static void test_repair(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 0);
    writing_message(writing, 0, "m", device, FAKE_NOW_MS);
    writing_submit(writing, 0);
    PLAY(&writing->world->loop, one(), {.expects = "nextval", .answers = {ANSWER("nextval", 1, "90")}},
         {.expects = "partition_ensure"}, {.expects = "\"id\":90", .sqlstate = "CH001", .at = "device_register"},
         {.expects = "JOIN onemap.device d", .answers = {ANSWER("JOIN", 4, "12", FAKE_SUBSYSTEM, "acme", "T-1")}});
    fake_postgres_await(&writing->world->loop, one());
    assert_null(strstr(fake_postgres_sql(one()), "device_register"));
    const struct postgres_copy *copy = fake_postgres_copy(one(), "onemap.observation");
    struct copied rows = copied_begin(copy->data, copy->length);
    assert_true(copied_next(&rows));
    assert_int_equal(copied_integer(&rows, 0), 12);
    fake_postgres_succeed(one());
    expect_committed(writing, 1);
    assert_int_equal(fake_loop_passed(), 0);
    writing_end(writing);
}

/* What is put right three times and is wrong again is the message's fault; a success starts the count anew. */
static void test_mended_too_often(void **state) {
    (void)state;
    static const struct {
        const char *sqlstate, *mended;
    } cases[] = {{"CH001", "JOIN onemap.device d"}, {"23514", "partition_ensure"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct writing *writing = begin();
        uv_loop_t *loop = &writing->world->loop;
        for (int turn = 0; turn < 3; turn++) {
            PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = cases[i].sqlstate},
                 {.expects = cases[i].mended});
        }
        PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = cases[i].sqlstate},
             {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation"});
        expect_committed(writing, 1);
        assert_int_equal(fake_loop_passed(), 0);
        writing_message(writing, 1, "m", fake_world_device(writing->world, "T-2", 6), FAKE_NOW_MS);
        writing_submit(writing, 1);
        PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = cases[i].sqlstate},
             {.expects = cases[i].mended}, {.expects = "COPY onemap.observation"});
        assert_int_equal(writing->commits, 2);
        writing_end(writing);
    }
}

/* A duplicate that the slow path, too, meets is none of a record: in its first half (a device's id) or its second. */
static void test_duplicate_when_settling(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct writing *writing = begin();
        uv_loop_t *loop = &writing->world->loop;
        PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = "23505"},
             {.expects = "observation_settle", .sqlstate = half == 0 ? "23505" : NULL});
        if (half == 1) {
            PLAY(loop, one(), {.expects = "INSERT INTO onemap.batch_log", .lacks = "quarantine", .sqlstate = "23505"});
        }
        PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation"});
        expect_committed(writing, 1);
        assert_int_equal(writing->world->metrics->messages_quarantined, 1);
        writing_end(writing);
    }
}

/* ---- what may be a message's fault, or the server's bad moment ---- */

static const struct {
    const char *sqlstate, *reason;
    int tries; /* of one message alone */
} suspicious[] = {
    {"57014",
     "the database takes longer for it than the 60 s that a statement has: PL/pgSQL function onemap.slow() line 3 at"
     " PERFORM; send smaller messages",
     2},
    {"XX000", "the database refuses it (SQLSTATE XX000): made to fail", 5},
    {"53200", "the database refuses it (SQLSTATE 53200): made to fail", 61},
    {"53400", "the database refuses it (SQLSTATE 53400): made to fail", 61},
};

static struct fake_act suspicious_act(size_t i, const char *expects) {
    return (struct fake_act){.expects = expects,
                             .sqlstate = suspicious[i].sqlstate,
                             .where = "PL/pgSQL function onemap.slow() line 3 at PERFORM"};
}

static void expect_refused(const char *payload, const char *reason) {
    const struct postgres_copy *copy = fake_postgres_copy(one(), "COPY pg_temp.quarantine_stage");
    assert_non_null(copy);
    struct copied row = copied_begin(copy->data, copy->length);
    assert_true(copied_next(&row));
    copied_expect(&row, 5, payload);
    copied_expect(&row, 8, "refused_by_database");
    copied_expect(&row, 9, reason);
}

/* A batch of three messages, m0 to m2. */
static void submit_three(struct writing *writing) {
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    static const char *const names[] = {"m0", "m1", "m2"};
    for (int m = 0; m < 3; m++) {
        writing_message(writing, 0, names[m], device, FAKE_NOW_MS + m);
    }
    writing_submit(writing, 0);
}

/* A batch is divided at once; the message that fails so alone, again and again, goes to quarantine with the reason, its
 * neighbours are stored. */
static void test_suspicious(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(suspicious); i++) {
        struct writing *writing = writing_begin(1);
        uv_loop_t *loop = &writing->world->loop;
        submit_three(writing);
        const struct fake_act act = suspicious_act(i, "COPY onemap.observation");
        PLAY(loop, one(), {.expects = "partition_ensure"}, act, {.expects = "COPY onemap.observation"});
        for (int turn = 0; turn < suspicious[i].tries; turn++) {
            fake_postgres_play(loop, one(), &act, 1);
        }
        fake_postgres_await(loop, one());
        expect_refused("m1", suspicious[i].reason);
        assert_int_equal(writing->commits, 0);
        /* Patience is a slice's: the next message's first failure is its first. */
        PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation"}, act,
             {.expects = "COPY onemap.observation", .lacks = "quarantine"});
        expect_committed(writing, 1);
        assert_int_equal(writing->world->metrics->messages_quarantined, 1);
        assert_int_equal(writing->world->metrics->records_committed, 2);
        writing_end(writing);
    }
}

/* One that ends the server's process each time: the same, once it is known each time that nothing was committed. Where
 * the refusal's connection is lost, too, it was the server's. */
static void test_lost_again_and_again(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    uv_loop_t *loop = &writing->world->loop;
    submit_three(writing);
    PLAY(loop, one(), {.expects = "partition_ensure"});
    for (int turn = 0; turn < 3; turn++) {
        PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = ""}, {.expects = ASKED});
    }
    PLAY(loop, one(), {.expects = "COPY onemap.observation"}); /* m0 alone */
    assert_int_equal(writing->world->metrics->records_committed, 1);
    for (int moment = 0; moment < 2; moment++) {
        for (int turn = 0; turn < 21; turn++) {
            PLAY(loop, one(), {.expects = "COPY onemap.observation", .lacks = "quarantine", .sqlstate = ""},
                 {.expects = ASKED});
        }
        fake_postgres_await(loop, one());
        expect_refused("m1", "the database's session ended each time it was to be stored; send smaller messages, and"
                             " tell the hub's keepers");
        PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage", .sqlstate = moment == 0 ? "" : NULL});
        if (moment == 0) {
            PLAY(loop, one(), {.expects = ASKED});
        }
    }
    PLAY(loop, one(), {.expects = "COPY onemap.observation", .lacks = "quarantine"});
    expect_committed(writing, 1);
    assert_int_equal(writing->world->metrics->messages_quarantined, 1);
    assert_int_equal(writing->world->metrics->records_committed, 2);
    writing_end(writing);
}

/* Where not even the refusal can be stored it was the server's bad moment: the message is stored once that is over. */
static void test_suspected_innocent(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(suspicious); i++) {
        struct writing *writing = begin();
        uv_loop_t *loop = &writing->world->loop;
        const struct fake_act row = suspicious_act(i, "COPY onemap.observation");
        const struct fake_act quarantine = suspicious_act(i, "COPY pg_temp.quarantine_stage");
        for (int moment = 0; moment < 2; moment++) {
            for (int turn = 0; turn < suspicious[i].tries; turn++) {
                fake_postgres_play(loop, one(), &row, 1);
            }
            fake_postgres_play(loop, one(), &quarantine, 1);
        }
        PLAY(loop, one(), {.expects = "COPY onemap.observation", .lacks = "quarantine"});
        expect_committed(writing, 1);
        assert_int_equal(writing->world->metrics->messages_quarantined, 0);
        assert_int_equal(writing->world->metrics->records_committed, 1);
        writing_end(writing);
    }
}

/* One kind of failure says nothing of another's: each is counted from its own first. */
static void test_suspicions_of_several_kinds(void **state) {
    (void)state;
    struct writing *writing = begin();
    uv_loop_t *loop = &writing->world->loop;
    static const char *const kinds[] = {"XX000", "57014"};
    for (int turn = 0; turn < 6; turn++) {
        PLAY(loop, one(), {.expects = "COPY onemap", .lacks = "quarantine", .sqlstate = ""}, {.expects = ASKED},
             {.expects = "COPY onemap", .lacks = "quarantine", .sqlstate = kinds[turn % 2]});
    }
    PLAY(loop, one(), {.expects = "COPY onemap.observation", .lacks = "quarantine"});
    expect_committed(writing, 1);
    writing_end(writing);
}

/* What a refused message would have changed is not counted: its alarms were not opened. */
static void test_alarms_of_a_refused_message(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    uint64_t opened = hub_metrics.alarms_opened, closed = hub_metrics.alarms_closed;
    for (uint32_t m = 0; m < 2; m++) {
        writing_message(writing, 0, "m", device, FAKE_NOW_MS + m);
        for (int closes = 0; closes < 2; closes++) {
            const struct alarm_operation operation = {
                .device = device, .rule_id = 1, .action = closes ? ALARM_CLOSE : ALARM_OPEN, .message = m};
            assert_int_equal(batch_operation_add(&writing->written[0].batch, &operation), 0);
        }
    }
    writing_submit(writing, 0);
    PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"},
         {.expects = "COPY onemap.observation", .sqlstate = "22003"},
         {.expects = "COPY onemap.observation", .sqlstate = "22003"},
         {.expects = "COPY pg_temp.quarantine_stage", .lacks = "alarm_apply"}, {.expects = "alarm_apply"});
    expect_committed(writing, 1);
    assert_int_equal(hub_metrics.alarms_opened - opened, 1);
    assert_int_equal(hub_metrics.alarms_closed - closed, 1);
    writing_end(writing);
}

/* One that was refused for what it holds stays refused, whatever the moment. */
static void test_suspected_guilty(void **state) {
    (void)state;
    struct writing *writing = begin();
    uv_loop_t *loop = &writing->world->loop;
    const struct fake_act act = suspicious_act(0, "COPY onemap");
    fake_postgres_play(loop, one(), &act, 1);
    PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = "22003"});
    for (int turn = 0; turn < 4; turn++) {
        PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation", .sqlstate = "57014"});
    }
    PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation"});
    expect_committed(writing, 1);
    writing_end(writing);
}

/* ---- waiting ---- */

/* Not even the quarantine row can be stored: nothing is given up, it is tried again and again. */
static void test_quarantine_refused(void **state) {
    (void)state;
    struct writing *writing = begin();
    uv_loop_t *loop = &writing->world->loop;
    fake_postgres_fail(one(), "22003", "made to fail");
    for (int turn = 0; turn < 5; turn++) {
        PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage", .lacks = "observation", .sqlstate = "22021"});
        fake_loop_turn(loop);
        assert_string_equal(fake_postgres_sql(one()), "");
    }
    assert_int_equal(writing->commits, 0);
    PLAY(loop, one(), {.expects = "COPY pg_temp.quarantine_stage"});
    expect_committed(writing, 1);
    writing_end(writing);
}

/* 50 ms, then twice as long each time up to 5 s; from the beginning again after a success. Trouble is what has lasted
 * 5 s without any success. */
static void test_backoff_and_trouble(void **state) {
    (void)state;
    struct writing *writing = begin();
    uv_loop_t *loop = &writing->world->loop;
    static const int64_t waits[] = {50, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        int64_t before = fake_loop_passed();
        fake_postgres_fail(one(), "53100", "no space left on device");
        fake_postgres_await(loop, one());
        assert_int_equal(fake_loop_passed() - before, waits[i]);
        const char *trouble = writer_trouble(writing->writer);
        assert_int_equal(trouble != NULL, fake_loop_passed() > 5000);
        if (trouble != NULL) {
            assert_string_equal(trouble, "no space left on device");
        }
    }
    fake_postgres_succeed(one());
    assert_null(writer_trouble(writing->writer));
    expect_committed(writing, 1);
    writing_message(writing, 1, "m", fake_world_device(writing->world, "T-2", 6), FAKE_NOW_MS);
    writing_submit(writing, 1);
    fake_postgres_await(loop, one());
    int64_t before = fake_loop_passed();
    fake_postgres_fail(one(), "53100", "no space left on device");
    fake_postgres_await(loop, one());
    assert_int_equal(fake_loop_passed() - before, 50);
    writing_end(writing);
}

/* A success of another connection ends the trouble: what fails alone is not the database's. */
static void test_trouble_of_one(void **state) {
    (void)state;
    struct writing *writing = writing_begin(2);
    uv_loop_t *loop = &writing->world->loop;
    struct postgres *two = fake_postgres("writer-2");
    for (int i = 0; i < 2; i++) {
        writing_message(writing, i, "m", fake_world_device(writing->world, i == 0 ? "T-1" : "T-2", 5 + i), FAKE_NOW_MS);
        writing_submit(writing, i);
        if (i == 0) {
            PLAY(loop, one(), {.expects = "partition_ensure"});
        }
    }
    for (int turn = 0; turn < 8; turn++) {
        PLAY(loop, one(), {.expects = "COPY onemap.observation", .sqlstate = "55P03"});
    }
    fake_loop_pass(loop, 5000);
    assert_non_null(writer_trouble(writing->writer));
    PLAY(loop, two, {.expects = "COPY onemap.observation"});
    assert_null(writer_trouble(writing->writer));
    assert_int_equal(writing->commits, 1);
    writing_end(writing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_states_before_storing),
        cmocka_unit_test(test_lost_and_committed),
        cmocka_unit_test(test_lost_and_not_committed),
        cmocka_unit_test(test_found_late),
        cmocka_unit_test(test_not_found_and_duplicate),
        cmocka_unit_test(test_lost_twice),
        cmocka_unit_test(test_question_fails),
        cmocka_unit_test(test_lost_when_settling),
        cmocka_unit_test(test_lost_and_refused),
        cmocka_unit_test(test_lost_when_divided),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_mended_too_often),
        cmocka_unit_test(test_duplicate_when_settling),
        cmocka_unit_test(test_suspicious),
        cmocka_unit_test(test_lost_again_and_again),
        cmocka_unit_test(test_suspicions_of_several_kinds),
        cmocka_unit_test(test_alarms_of_a_refused_message),
        cmocka_unit_test(test_suspected_innocent),
        cmocka_unit_test(test_suspected_guilty),
        cmocka_unit_test(test_quarantine_refused),
        cmocka_unit_test(test_backoff_and_trouble),
        cmocka_unit_test(test_trouble_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
