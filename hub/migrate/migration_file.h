/* migration_file.h: the SQL files of a build: numbered ones in <data_dir>/schema, repeatable ones in
 * <data_dir>/adapters. */
#ifndef CITYHUB_MIGRATION_FILE_H
#define CITYHUB_MIGRATION_FILE_H

#include <stddef.h>

enum { CHECKSUM_TEXT = 65 }; /* SHA-256 as hexadecimal text with its end */

struct migration_file {
    int version; /* 1 to 999; 0 = repeatable */
    char *name;  /* relative to data_dir: "schema/001_core.sql", "adapters/dust/dust.sql" */
    char *text;
    char checksum[CHECKSUM_TEXT]; /* of the file's bytes */
};

struct migration_files {
    struct migration_file *list;
    size_t count;
};

/* Reads schema/NNN_name.sql in the order of their numbers. Two files with one number, or an .sql file with another form
 * of name, are refused. Tells what is wrong on standard error. Returns 0, CH_EINVAL, CH_EIO or CH_EMEMORY; release with
 * migration_files_free in every case. */
int migration_files_numbered(struct migration_files *files, const char *data_dir);

/* Reads adapters/<subsystem>/<any>.sql in the order of their names. As above. */
int migration_files_repeatable(struct migration_files *files, const char *data_dir);

void migration_files_free(struct migration_files *files);

/* SHA-256 of `length` bytes as lower-case hexadecimal. Returns 0 or CH_EIO. */
int migration_checksum(const void *bytes, size_t length, char checksum[CHECKSUM_TEXT]);

#endif
