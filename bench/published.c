/* See published.h. Decides nothing about charts: which figures belong together, and a reader for files as simple as these. */
#include "bench/published.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- the files ---- */

/* clang-format off */
#define FILE_BLOB(symbol, name)                                         \
        __asm__(".pushsection .rodata\n"                                \
                #symbol ":\n"                                           \
                ".incbin \"" TS_PUBLISHED_DIR "/" name "\"\n"           \
                #symbol "_end:\n"                                       \
                ".byte 0\n"                                             \
                ".popsection\n");                                       \
        extern const char symbol[], symbol##_end[]
/* clang-format on */
FILE_BLOB(ts_published_mysql, "podman-mysql-rows.csv");
FILE_BLOB(ts_published_counter, "docker-counter-transfer.csv");
FILE_BLOB(ts_published_magento, "docker-magento-memory.csv");
FILE_BLOB(ts_published_lxc, "lxc-openvz.csv");
FILE_BLOB(ts_published_phases, "cloudhopper-phases.csv");
FILE_BLOB(ts_published_sizes, "cloudhopper-sizes.csv");

static const struct {
        const char *name, *from, *to;
} files[] = {
        { "podman-mysql-rows.csv", ts_published_mysql, ts_published_mysql_end },
        { "docker-counter-transfer.csv", ts_published_counter, ts_published_counter_end },
        { "docker-magento-memory.csv", ts_published_magento, ts_published_magento_end },
        { "lxc-openvz.csv", ts_published_lxc, ts_published_lxc_end },
        { "cloudhopper-phases.csv", ts_published_phases, ts_published_phases_end },
        { "cloudhopper-sizes.csv", ts_published_sizes, ts_published_sizes_end },
};

int ts_published_file(const char *name, const char **ret, size_t *ret_len, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(files); i++)
                if (strcmp(files[i].name, name) == 0) {
                        *ret = files[i].from;
                        *ret_len = (size_t)((uintptr_t)files[i].to - (uintptr_t)files[i].from);
                        return 0;
                }
        return ts_err_set(err, TS_ENOTFOUND, "no published figures are called '%s'", name);
}

/* ---- what stands beside what ---- */

#define AZIZ "M. A. Aziz, container live migration between cloud providers with Podman and CRIU, appendices A to C"
#define AZIZ_SET_UP                                                                                                                                      \
        "Podman 1.6.4, CRIU 3.13, runC; a PHP web server and MySQL 5.7 in two containers; rsync and gzip exports one after the other; virtual machines " \
        "with 2 processors, 2 GB and 3.65 Gbit/s, with and without NFS, and GCP to AWS with 1 processor, 1 GB and 1.75 Gbit/s. "
#define CLOUDHOPPER "T. Benjaponpitak, M. Karakate, K. Sripanidkulchai, CloudHopper, tables II to IV"
#define CLOUDHOPPER_SET_UP                                                                                                                            \
        "runC and CRIU, WordPress and MySQL, AWS Tokyo to GCP Tokyo (or Azure) over IPsec, behind HAProxy and an application that holds the requests: " \
        "clients see a delay, not an error; siege as the load; means of ten runs. "
#define LXC "A thesis on LXC and OpenVZ during live migration, chapter 5"
#define LXC_SET_UP                                                                                                                                         \
        "Cassandra 3.0.4 under cassandra-stress with 150 and 450 threads, Dell servers with 12 processors and 24 GB on one network, Ubuntu 16.04; means of " \
        "five runs. "
#define MAGENTO "International Journal of Scientific & Technology Research 9(4), April 2020"
#define MAGENTO_SET_UP                                                                                                                                     \
        "Docker with CRIU, Magento, two hosts with NFS for the checkpoint's files: I one way 1 to 2, II one way 2 to 1, III both ways one service, IV both " \
        "ways three services. "

const struct ts_published ts_published[] = {
        { "mysql-rows", "published-downtime", "Downtime beside published figures", "podman-mysql-rows.csv", "rows", "Rows", { "environment", "direction" }, ", ", true,
          { { "downtime_s", NULL, "downtime_s" } }, "Downtime (s)", 1, 1, AZIZ,
          AZIZ_SET_UP "Their downtime is the begin of the dump on the source to the end of the restore on the target, by the clocks of two hosts." },
        { "mysql-rows", "published-migration", "Migration time beside published figures", "podman-mysql-rows.csv", "rows", "Rows", { "environment", "direction" }, ", ", true,
          { { "migration_time_s", NULL, "migration_s" } }, "Migration time (s)", 1, 1, AZIZ,
          AZIZ_SET_UP "Their migration time adds the run times of the scripts of both hosts, which overlap." },
        { "counter-size", "published-transfer", "Transfer beside published figures", "docker-counter-transfer.csv", "size_kb", "Size of the archive (KB)", { "source", "target" }, " to ", false,
          { { "time_s", NULL, "transfer_s" } }, "Transfer (s)", 1, 1, "A. Barua, Towards Docker Live Migration, University of Turku, 2018, table 4.1",
          "Docker 17.09.1-ce (experimental), Ubuntu 16.04, a busybox counter; a tar.gz by scp between two cloud servers with 1 processor and 1 GB and a local machine. Only the transfer was timed." },
        { "two-way", "published-memory", "Memory beside published figures", "docker-magento-memory.csv", NULL, NULL, { "scenario", "platform" }, " on ", false,
          { { "before_checkpoint_gb", "before the checkpoint", "source_before_bytes" },
            { "after_checkpoint_gb", "after the checkpoint", "source_after_bytes" },
            { "before_restore_gb", "before the restore", "target_before_bytes" },
            { "after_restore_gb", "after the restore", "target_after_bytes" } },
          "Memory used (GB)", 1, 1e-3, MAGENTO, MAGENTO_SET_UP "Their memory is what top showed, each host as source and as target." },
        { "two-way", "published-checkpoint", "Checkpoint and restore beside published figures", "docker-magento-memory.csv", NULL, NULL, { "scenario", "platform" }, " on ", false,
          { { "checkpoint_s", "checkpoint", "checkpoint_s" }, { "restore_s", "restore", "restore_s" } }, "Time (s)", 1, 1, MAGENTO, MAGENTO_SET_UP "Times as far as printed." },
        { "load", "published-downtime", "Downtime under load beside published figures", "cloudhopper-phases.csv", "clients", "Clients", { "optimisation" }, "", false,
          { { "downtime_s", NULL, "downtime_s" } }, "Downtime (s)", 1, 1, CLOUDHOPPER, CLOUDHOPPER_SET_UP "Their downtime is checkpoint + difference + transfer + restore." },
        { "load", "published-migration", "Migration time under load beside published figures", "cloudhopper-phases.csv", "clients", "Clients", { "optimisation" }, "", false,
          { { "total_s", NULL, "migration_s" } }, "Migration time (s)", 1, 1, CLOUDHOPPER, CLOUDHOPPER_SET_UP "Their total has the copies before the freeze in it." },
        { "load", "published-ping", "Gap between pings under load beside published figures", "lxc-openvz.csv", "threads", "Threads", { "system" }, "", false,
          { { "downtime_by_ping_ms", NULL, "ping_gap_s" } }, "Longest gap (s)", 1e-3, 1, LXC,
          LXC_SET_UP "Their downtime is by ping; their own sums of phases give 14 s for OpenVZ where ping gives 14 ms: the unit is doubtful." },
        { "load", "published-lxc-migration", "Migration time under load beside published figures of LXC and OpenVZ", "lxc-openvz.csv", "threads", "Threads", { "system" }, "", false,
          { { "migration_time_s", NULL, "migration_s" } }, "Migration time (s)", 1, 1, LXC, LXC_SET_UP "Their migration time is that of the whole command." },
        { .scenario = NULL },
};

/* ---- a reader ---- */

static int cut_line(struct ts_csv *c, char *line, const char **cells, struct ts_err *err)
{
        size_t n = 0;

        for (char *rest = line; rest;) {
                if (n == TS_PUBLISHED_COLUMNS_MAX)
                        return ts_err_set(err, TS_ELIMIT, "a line of CSV has more than %u cells", TS_PUBLISHED_COLUMNS_MAX);
                cells[n++] = strsep(&rest, ",");
        }
        if (c->columns && n != c->columns)
                return ts_err_set(err, TS_EPROTO, "a line of CSV has %zu cells, not %zu", n, c->columns);
        c->columns = n;
        return 0;
}

static int cut(struct ts_csv *c, struct ts_err *err)
{
        size_t lines = 0;

        for (char *rest = c->text; rest && *rest;) {
                char *line = strsep(&rest, "\n");

                if (lines > TS_PUBLISHED_ROWS_MAX)
                        return ts_err_set(err, TS_ELIMIT, "a file of CSV has more than %u lines", TS_PUBLISHED_ROWS_MAX);
                if (cut_line(c, line, c->cells[lines++], err) < 0)
                        return -1;
        }
        c->rows = lines ? lines - 1 : 0;
        return lines ? 0 : ts_err_set(err, TS_EPROTO, "a file of CSV is empty");
}

int ts_csv_parse(const char *text, size_t len, struct ts_csv *ret, struct ts_err *err)
{
        memset(ret, 0, sizeof(*ret));
        if (memchr(text, '\0', len) || memchr(text, '"', len))
                return ts_err_set(err, TS_EPROTO, "quotes are not understood here");
        ret->text = strndup(text, len);
        if (!ret->text)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (cut(ret, err) < 0) {
                ts_csv_clear(ret);
                return -1;
        }
        return 0;
}

void ts_csv_clear(struct ts_csv *c)
{
        free(c->text);
        c->text = NULL;
        c->rows = c->columns = 0;
}

size_t ts_csv_column(const struct ts_csv *c, const char *name)
{
        size_t i = 0;

        while (i < c->columns && strcmp(c->cells[0][i], name) != 0)
                i++;
        return i;
}

bool ts_csv_number(const char *cell, double *ret)
{
        char *end = NULL;
        double d = strtod(cell, &end);

        if (end == cell || *end || !isfinite(d))
                return false;
        *ret = d;
        return true;
}
