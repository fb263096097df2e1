/* Memory, and what processes share by name: System V, POSIX. */
#include "holds.h"

#include <linux/mempolicy.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define SIZE (1 << 16)
static char *m, *n;
static int a = -1;

static int map(int flags, int fd)
{
        m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
        WANT(m != MAP_FAILED);
        return 0;
}

static int file(const char *name)
{
        TRY(a = open(name, O_CREAT | O_RDWR, 0600));
        TRY(ftruncate(a, SIZE));
        return put(a, "file");
}

static int anonymous_make(void)
{
        if (map(MAP_PRIVATE | MAP_ANONYMOUS, -1) < 0)
                return -1;
        (void)memset(m, 'x', SIZE);
        return 0;
}

static int anonymous_check(void)
{
        WANT(m[0] == 'x' && m[SIZE - 1] == 'x');
        return 0;
}

/* Written by a child, read by the parent. */
static int shared_anonymous_make(void)
{
        pid_t child;

        if (map(MAP_SHARED | MAP_ANONYMOUS, -1) < 0)
                return -1;
        TRY(child = fork());
        if (child == 0)
                for (;;) {
                        m[1] = m[0];
                        (void)nap(10);
                }
        return 0;
}

static int shared_anonymous_check(void)
{
        m[0]++;
        for (int i = 0; i < 200 && m[1] != m[0]; i++)
                (void)nap(10);
        WANT(m[1] == m[0]);
        return 0;
}

static int file_private_make(void)
{
        if (file("/tmp/private") < 0 || map(MAP_PRIVATE, a) < 0)
                return -1;
        m[1] = 'X';
        return 0;
}

static int file_private_check(void)
{
        WANT(memcmp(m, "fXle", 4) == 0);
        return 0;
}

static int file_shared_make(void)
{
        if (file("/tmp/shared") < 0)
                return -1;
        return map(MAP_SHARED, a);
}

static int file_shared_check(void)
{
        char byte;

        m[3]++;
        TRY(pread(a, &byte, 1, 3));
        WANT(byte == m[3]);
        return 0;
}

static int file_mapped_deleted_make(void)
{
        if (file("/tmp/mapped-deleted") < 0 || map(MAP_SHARED, a) < 0)
                return -1;
        TRY(unlink("/tmp/mapped-deleted"));
        return close(a);
}

static int file_mapped_deleted_check(void)
{
        WANT(memcmp(m, "file", 4) == 0);
        return 0;
}

/* The letters that /proc/self/smaps has for the memory at m. */
static bool has_flag(const char *flag)
{
        char line[512], at[64];
        bool here = false, found = false;
        FILE *f = fopen("/proc/self/smaps", "r");

        (void)snprintf(at, sizeof(at), "%lx-", (unsigned long)m);
        while (f && fgets(line, sizeof(line), f)) {
                if (strncmp(line, at, strlen(at)) == 0)
                        here = true;
                if (here && strncmp(line, "VmFlags:", 8) == 0) {
                        found = strstr(line + 8, flag) != NULL;
                        break;
                }
        }
        if (f)
                (void)fclose(f);
        return found;
}

#define ADVICE(name, advice, flag)                            \
        static int name##_make(void)                          \
        {                                                     \
                if (map(MAP_PRIVATE | MAP_ANONYMOUS, -1) < 0) \
                        return -1;                            \
                TRY(madvise(m, SIZE, advice));                \
                return 0;                                     \
        }                                                     \
        static int name##_check(void)                         \
        {                                                     \
                WANT(has_flag(flag));                         \
                return 0;                                     \
        }
ADVICE(madvise_dontfork, MADV_DONTFORK, " dc ")
ADVICE(madvise_wipeonfork, MADV_WIPEONFORK, " wf ")
ADVICE(madvise_dontdump, MADV_DONTDUMP, " dd ")
ADVICE(madvise_hugepage, MADV_HUGEPAGE, " hg ")
ADVICE(madvise_nohugepage, MADV_NOHUGEPAGE, " nh ")
ADVICE(madvise_mergeable, MADV_MERGEABLE, " mg ")
ADVICE(madvise_random, MADV_RANDOM, " rr ")

static int mlock_make(void)
{
        if (map(MAP_PRIVATE | MAP_ANONYMOUS, -1) < 0)
                return -1;
        TRY(mlock(m, SIZE));
        return 0;
}

static int mlock_check(void)
{
        WANT(has_flag(" lo "));
        return 0;
}

static int mlock_future_make(void)
{
        TRY(mlockall(MCL_FUTURE));
        return 0;
}

static int mlock_future_check(void)
{
        if (map(MAP_PRIVATE | MAP_ANONYMOUS, -1) < 0)
                return -1;
        WANT(has_flag(" lo "));
        return 0;
}

static int guard_make(void)
{
        if (anonymous_make() < 0)
                return -1;
        TRY(mprotect(m + 4096, 4096, PROT_NONE));
        return 0;
}

static int guard_check(void)
{
        WANT(m[0] == 'x' && m[8192] == 'x');
        WANT(madvise(m + 4096, 4096, 23 /* MADV_POPULATE_WRITE */) < 0);
        return 0;
}

/* Pages that fault, without a mapping of their own (MADV_GUARD_INSTALL). */
static int guard_pages_make(void)
{
        if (anonymous_make() < 0)
                return -1;
        TRY(madvise(m + 4096, 4096, 102));
        return 0;
}

static int guard_pages_check(void)
{
        WANT(m[0] == 'x');
        WANT(madvise(m + 4096, 4096, 23) < 0 && errno == EFAULT);
        return 0;
}

static int grows_down_make(void)
{
        if (map(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, -1) < 0)
                return -1;
        m[SIZE - 1] = 'x';
        return 0;
}

static int grows_down_check(void)
{
        WANT(has_flag(" gd "));
        WANT(m[SIZE - 1] == 'x');
        return 0;
}

/* As a compiler at run time has it: below all else, shared, executable, not writable. */
static int jit_make(void)
{
        m = mmap((void *)0x200000, SIZE, PROT_READ | PROT_EXEC,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        WANT(m != MAP_FAILED);
        return 0;
}

static int jit_check(void)
{
        WANT(m[0] == 0);
        return 0;
}

static int write_execute_make(void)
{
        m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
        WANT(m != MAP_FAILED);
        m[0] = (char)0xc3; /* ret */
        return 0;
}

static int write_execute_check(void)
{
        ((void (*)(void))(uintptr_t)m)();
        return 0;
}

static int memory_sealed_make(void)
{
        if (anonymous_make() < 0)
                return -1;
        TRY(syscall(462, m, SIZE, 0)); /* mseal() */
        return 0;
}

static int memory_sealed_check(void)
{
        WANT(m[0] == 'x');
        WANT(munmap(m, 4096) < 0 && errno == EPERM);
        return 0;
}

static int memory_policy_make(void)
{
        unsigned long nodes = 1;

        TRY(syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 64));
        return 0;
}

static int memory_policy_check(void)
{
        int mode = -1;

        TRY(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
        WANT(mode == MPOL_BIND);
        return 0;
}

static int memory_merge_make(void)
{
        TRY(prctl(67 /* PR_SET_MEMORY_MERGE */, 1UL, 0UL, 0UL, 0UL));
        return 0;
}

static int memory_merge_check(void)
{
        WANT(prctl(68, 0UL, 0UL, 0UL, 0UL) == 1);
        return 0;
}

static int memory_no_thp_make(void)
{
        TRY(prctl(PR_SET_THP_DISABLE, 1UL, 0UL, 0UL, 0UL));
        return 0;
}

static int memory_no_thp_check(void)
{
        WANT(prctl(PR_GET_THP_DISABLE, 0UL, 0UL, 0UL, 0UL) == 1);
        return 0;
}

static int memory_no_exec_make(void)
{
        TRY(prctl(65 /* PR_SET_MDWE */, 1UL, 0UL, 0UL, 0UL));
        return 0;
}

static int memory_no_exec_check(void)
{
        WANT(prctl(66, 0UL, 0UL, 0UL, 0UL) == 1);
        return 0;
}

static int memfd_make(void)
{
        TRY(a = memfd_create("it", 0));
        TRY(ftruncate(a, SIZE));
        if (put(a, "data") < 0 || map(MAP_SHARED, a) < 0)
                return -1;
        return 0;
}

static int memfd_check(void)
{
        WANT(memcmp(m, "data", 4) == 0);
        return 0;
}

static int memfd_sealed_make(void)
{
        TRY(a = memfd_create("it-sealed", MFD_ALLOW_SEALING));
        if (put(a, "data") < 0)
                return -1;
        TRY(fcntl(a, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
        return 0;
}

static int memfd_sealed_check(void)
{
        char found[8] = "";

        WANT(fcntl(a, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK));
        TRY(pread(a, found, sizeof(found), 0));
        WANT(strcmp(found, "data") == 0);
        return 0;
}

static int memfd_huge_make(void)
{
        TRY(a = memfd_create("it-huge", MFD_HUGETLB));
        TRY(ftruncate(a, 1 << 21));
        return 0;
}

static int memfd_huge_check(void)
{
        struct stat s;

        TRY(fstat(a, &s));
        WANT(s.st_size == 1 << 21);
        return 0;
}

static int memfd_secret_make(void)
{
        TRY(a = (int)syscall(SYS_memfd_secret, 0));
        TRY(ftruncate(a, SIZE));
        if (map(MAP_SHARED, a) < 0)
                return -1;
        m[0] = 'x';
        return 0;
}

static int memfd_secret_check(void)
{
        WANT(m[0] == 'x');
        return 0;
}

static int sysv_memory_make(void)
{
        TRY(a = shmget(0x6974, SIZE, IPC_CREAT | 0600));
        m = shmat(a, NULL, 0);
        n = shmat(a, NULL, SHM_RDONLY);
        WANT(m != (char *)-1 && n != (char *)-1);
        m[0] = 'x';
        return 0;
}

static int sysv_memory_check(void)
{
        m[0]++;
        WANT(n[0] == m[0]);
        TRY(shmget(0x6974, SIZE, 0));
        return 0;
}

static int sysv_memory_removed_make(void)
{
        TRY(a = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600));
        m = shmat(a, NULL, 0);
        WANT(m != (char *)-1);
        TRY(shmctl(a, IPC_RMID, NULL));
        m[0] = 'x';
        return 0;
}

static int sysv_memory_removed_check(void)
{
        WANT(m[0] == 'x');
        return 0;
}

static int sysv_memory_unused_make(void)
{
        TRY(a = shmget(0x6975, SIZE, IPC_CREAT | 0600));
        m = shmat(a, NULL, 0);
        WANT(m != (char *)-1);
        m[0] = 'x';
        TRY(shmdt(m));
        return 0;
}

static int sysv_memory_unused_check(void)
{
        TRY(m = shmat(shmget(0x6975, SIZE, 0), NULL, 0));
        WANT(m[0] == 'x');
        TRY(shmdt(m));
        return 0;
}

/* Values, and nobody's undo. */
static int sysv_semaphore_make(void)
{
        TRY(a = semget(0x6974, 2, IPC_CREAT | 0600));
        TRY(semctl(a, 0, SETVAL, 7));
        return 0;
}

static int sysv_semaphore_check(void)
{
        TRY(a = semget(0x6974, 2, 0));
        WANT(semctl(a, 0, GETVAL) == 7 && semctl(a, 1, GETVAL) == 0);
        return 0;
}

/* What has to go back when the process ends: a grandchild holds it, and ends when it is asked a second time. */
static int ends[2], asked;
static int sysv_semaphore_undo_make(void)
{
        struct sembuf take = { .sem_op = -1, .sem_flg = SEM_UNDO };
        char byte;

        TRY(a = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
        TRY(semctl(a, 0, SETVAL, 1));
        TRY(pipe(ends));
        if (fork() == 0) {
                if (semop(a, &take, 1) == 0)
                        (void)read(ends[0], &byte, 1);
                _exit(0);
        }
        (void)nap(50);
        return 0;
}

static int sysv_semaphore_undo_check(void)
{
        if (asked++ == 0) {
                WANT(semctl(a, 0, GETVAL) == 0);
                return 0;
        }
        TRY(write(ends[1], "x", 1));
        TRY(waitpid(-1, NULL, 0));
        WANT(semctl(a, 0, GETVAL) == 1);
        return sysv_semaphore_undo_make();
}

struct message {
        long type;
        char text[8];
};

static int sysv_messages_make(void)
{
        struct message one = { 7, "seven" }, two = { 3, "three" };

        TRY(a = msgget(0x6974, IPC_CREAT | 0600));
        TRY(msgsnd(a, &one, sizeof(one.text), 0));
        TRY(msgsnd(a, &two, sizeof(two.text), 0));
        return 0;
}

static int sysv_messages_check(void)
{
        struct message got = { 0 };

        TRY(a = msgget(0x6974, 0));
        TRY(msgrcv(a, &got, sizeof(got.text), 3, IPC_NOWAIT));
        WANT(strcmp(got.text, "three") == 0);
        TRY(msgrcv(a, &got, sizeof(got.text), 0, IPC_NOWAIT));
        WANT(got.type == 7 && strcmp(got.text, "seven") == 0);
        (void)msgctl(a, IPC_RMID, NULL);
        return sysv_messages_make();
}

static int posix_memory_make(void)
{
        TRY(a = shm_open("/it-memory", O_CREAT | O_RDWR, 0600));
        TRY(ftruncate(a, SIZE));
        if (put(a, "data") < 0)
                return -1;
        return map(MAP_SHARED, a);
}

static int posix_memory_check(void)
{
        int other;

        WANT(memcmp(m, "data", 4) == 0);
        m[5]++;
        TRY(other = shm_open("/it-memory", O_RDWR, 0));
        TRY(pread(other, m + 6, 1, 5));
        WANT(m[5] == m[6]);
        return close(other);
}

static sem_t *s;
static int posix_semaphore_make(void)
{
        s = sem_open("/it-semaphore", O_CREAT, 0600, 7);
        WANT(s != SEM_FAILED);
        return 0;
}

static int posix_semaphore_check(void)
{
        int value = 0;
        sem_t *other = sem_open("/it-semaphore", 0);

        WANT(other != SEM_FAILED);
        TRY(sem_getvalue(other, &value));
        WANT(value == 7);
        return sem_close(other);
}

static int messages(const char *name)
{
        TRY(a = mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
        TRY(mq_send(a, "one", 3, 0));
        return 0;
}

static int posix_messages_make(void)
{
        return messages("/it-messages");
}

static int posix_messages_check(void)
{
        struct mq_attr at = { 0 };

        TRY(mq_getattr(a, &at));
        WANT(at.mq_curmsgs == 1);
        return 0;
}

/* Nobody has it open: it is only there by its name. */
static int posix_messages_unused_make(void)
{
        return messages("/it-unused") < 0 ? -1 : mq_close(a);
}

static int posix_messages_unused_check(void)
{
        struct mq_attr at = { 0 };

        TRY(a = mq_open("/it-unused", O_RDWR));
        TRY(mq_getattr(a, &at));
        WANT(at.mq_curmsgs == 1);
        return mq_close(a);
}

const struct object memory_objects[] = {
        OBJECT(anonymous),
        OBJECT(shared_anonymous),
        OBJECT(file_private),
        OBJECT(file_shared),
        OBJECT(file_mapped_deleted),
        OBJECT(madvise_dontfork),
        OBJECT(madvise_wipeonfork),
        OBJECT(madvise_dontdump),
        OBJECT(madvise_hugepage),
        OBJECT(madvise_nohugepage),
        OBJECT(madvise_mergeable),
        OBJECT(madvise_random),
        OBJECT(mlock),
        OBJECT(mlock_future),
        OBJECT(guard),
        OBJECT(guard_pages),
        OBJECT(grows_down),
        OBJECT(jit),
        OBJECT(write_execute),
        OBJECT(memory_sealed),
        OBJECT(memory_policy),
        OBJECT(memory_merge),
        OBJECT(memory_no_thp),
        OBJECT(memory_no_exec),
        OBJECT(memfd),
        OBJECT(memfd_sealed),
        OBJECT(memfd_huge),
        OBJECT(memfd_secret),
        OBJECT(sysv_memory),
        OBJECT(sysv_memory_removed),
        OBJECT(sysv_memory_unused),
        OBJECT(sysv_semaphore),
        OBJECT(sysv_semaphore_undo),
        OBJECT(sysv_messages),
        OBJECT(posix_memory),
        OBJECT(posix_semaphore),
        OBJECT(posix_messages),
        OBJECT(posix_messages_unused),
        END,
};
