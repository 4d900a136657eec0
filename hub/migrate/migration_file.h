/* migration_file.h: the SQL files of a build, below its data folder: numbered ones (schema/tables), rules in their
 * listed order (schema/rules/order), the simulator's (schema/simulation). */
#ifndef CITYHUB_MIGRATION_FILE_H
#define CITYHUB_MIGRATION_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum { CHECKSUM_TEXT = 65 }; /* SHA-256 as hexadecimal text with its end */

/* A file of an earlier build that a numbered file takes the place of: a line `-- supersedes: NAME SHA-256` in its head.
 * A database that has applied all of them has what the file makes. */
struct migration_predecessor {
    char *name;
    char checksum[CHECKSUM_TEXT];
};

struct migration_file {
    int version;                  /* 1 to 999; 0 = not numbered */
    char *name;                   /* relative to data_dir: "schema/tables/001_core.sql", "adapters/dust/dust.sql" */
    char *text;                   /* NULL = the metrics of the build, which are in no file */
    char checksum[CHECKSUM_TEXT]; /* of the file's bytes */
    struct migration_predecessor *supersedes;
    size_t supersedes_count;
};

struct migration_files {
    struct migration_file *list;
    size_t count;
};

/* Reads schema/tables/NNN_name.sql in the order of their numbers. Two files with one number, an .sql file with another
 * form of name, or a `-- supersedes:` that cannot be read are refused. Tells what is wrong on standard error. Returns
 * 0, CH_EINVAL, CH_EIO or CH_EMEMORY; release with migration_files_free in every case. */
int migration_files_numbered(struct migration_files *files, const char *data_dir);

/* Reads what schema/rules/order lists, in its order: paths and patterns from data_dir (a pattern's files by name), and
 * the word `metrics`, whose entry has the name METRICS_NAME and no text. A file of schema/rules that is not listed, or
 * listed twice, is refused; so is a path that is not there. As above. */
int migration_files_rules(struct migration_files *files, const char *data_dir);
#define METRICS_NAME "catalogue of metrics"

/* Appends schema/simulation/NAME.sql, by name, to the rules. As above. */
int migration_files_simulation(struct migration_files *files, const char *data_dir);

/* Reads one file that must be there, such as schema/meta.sql, as the only one of `files`. As above. */
int migration_files_one(struct migration_files *files, const char *data_dir, const char *name);

void migration_files_free(struct migration_files *files);

/* SHA-256 of `length` bytes as lower-case hexadecimal. Returns 0 or CH_EIO. */
int migration_checksum(const void *bytes, size_t length, char checksum[CHECKSUM_TEXT]);

#endif
