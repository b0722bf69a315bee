/* libnvidia-ml.so.1 for GPUs that are not there: what infctl asks of NVML (NVIDIA, NVML API reference), answered from
 * the files of $TESTBED_GPUS or /etc/testbed/gpus.d, each one line of
 * "name, uuid, MiB total, MiB used, % busy, compute capability[, MIG profile uuid MiB]...".
 * A function that is not here is one that this driver lacks: pynvml raises NVMLError_FunctionNotFound. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };
enum { MOST = 64, MOST_SLICES = 7 };
typedef int Result;
typedef struct Gpu {
    char name[160], uuid[96];
    unsigned long long total, used; /* bytes */
    unsigned busy;
    int major, minor;
    unsigned cut; /* into so many slices */
    struct Gpu *slices;
} Gpu;

static Gpu gpus[MOST], slices[MOST][MOST_SLICES];
static int count = -1;

static Result text(char *into, unsigned size, const char *said) {
    if (strlen(said) >= size) return INSUFFICIENT_SIZE;
    strcpy(into, said);
    return SUCCESS;
}

static void read_slices(Gpu *gpu, FILE *file) {
    char profile[32];
    gpu->cut = 0;
    gpu->slices = slices[gpu - gpus];
    while (gpu->cut < MOST_SLICES) {
        Gpu *slice = &gpu->slices[gpu->cut];
        if (fscanf(file, ", %31s %95s %llu", profile, slice->uuid, &slice->total) != 3) return;
        snprintf(slice->name, sizeof slice->name, "%.96s MIG %s", gpu->name, profile);
        slice->total <<= 20;
        gpu->cut++;
    }
}

Result nvmlInitWithFlags(unsigned flags) {
    const char *folder = getenv("TESTBED_GPUS");
    (void)flags;
    count = 0;
    for (int number = 0; number < MOST; number++) {
        char path[512];
        Gpu *gpu = &gpus[count];
        snprintf(path, sizeof path, "%s/%02d", folder ? folder : "/etc/testbed/gpus.d", number);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        int read = fscanf(file, "%95[^,], %95[^,], %llu, %llu, %u, %d.%d", gpu->name, gpu->uuid, &gpu->total, &gpu->used,
                          &gpu->busy, &gpu->major, &gpu->minor);
        if (read == 7) read_slices(gpu, file);
        fclose(file);
        if (read != 7) continue;
        gpu->total <<= 20;
        gpu->used <<= 20;
        count++;
    }
    if (count) return SUCCESS;
    count = -1;
    return DRIVER_NOT_LOADED;
}
Result nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
Result nvmlShutdown(void) { count = -1; return SUCCESS; }
const char *nvmlErrorString(Result result) {
    switch (result) {
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    default: return "Unknown Error";
    }
}

Result nvmlSystemGetDriverVersion(char *into, unsigned size) { return text(into, size, "570.124.06"); }
Result nvmlSystemGetNVMLVersion(char *into, unsigned size) { return text(into, size, "12.570.124.06"); }
Result nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12080; return SUCCESS; }
Result nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }

Result nvmlDeviceGetCount_v2(unsigned *into) {
    if (count < 0) return UNINITIALIZED;
    *into = count;
    return SUCCESS;
}
Result nvmlDeviceGetHandleByIndex_v2(unsigned index, Gpu **into) {
    if (count < 0) return UNINITIALIZED;
    if ((int)index >= count) return INVALID_ARGUMENT;
    *into = &gpus[index];
    return SUCCESS;
}
Result nvmlDeviceGetHandleByUUID(const char *uuid, Gpu **into) {
    for (int number = 0; number < count; number++)
        if (!strcmp(uuid, gpus[number].uuid)) {
            *into = &gpus[number];
            return SUCCESS;
        }
    return count < 0 ? UNINITIALIZED : NOT_FOUND;
}
Result nvmlDeviceGetIndex(Gpu *gpu, unsigned *into) { *into = gpu - gpus; return SUCCESS; }
Result nvmlDeviceGetMinorNumber(Gpu *gpu, unsigned *into) { *into = gpu - gpus; return SUCCESS; }
Result nvmlDeviceGetName(Gpu *gpu, char *into, unsigned size) { return text(into, size, gpu->name); }
Result nvmlDeviceGetUUID(Gpu *gpu, char *into, unsigned size) { return text(into, size, gpu->uuid); }
Result nvmlDeviceGetCudaComputeCapability(Gpu *gpu, int *major, int *minor) {
    *major = gpu->major;
    *minor = gpu->minor;
    return SUCCESS;
}

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
Result nvmlDeviceGetMemoryInfo(Gpu *gpu, Memory *into) {
    *into = (Memory){gpu->total, gpu->total - gpu->used, gpu->used};
    return SUCCESS;
}
Result nvmlDeviceGetMemoryInfo_v2(Gpu *gpu, MemoryV2 *into) {
    *into = (MemoryV2){into->version, gpu->total, 0, gpu->total - gpu->used, gpu->used};
    return SUCCESS;
}

typedef struct { unsigned gpu, memory; } Utilization;
Result nvmlDeviceGetUtilizationRates(Gpu *gpu, Utilization *into) {
    *into = (Utilization){gpu->busy, gpu->busy / 2};
    return SUCCESS;
}
Result nvmlDeviceGetMigMode(Gpu *gpu, unsigned *current, unsigned *pending) {
    *current = *pending = gpu->cut > 0;
    return SUCCESS;
}
Result nvmlDeviceGetMaxMigDeviceCount(Gpu *gpu, unsigned *into) {
    *into = gpu->cut ? MOST_SLICES : 0;
    return SUCCESS;
}
Result nvmlDeviceGetMigDeviceHandleByIndex(Gpu *gpu, unsigned index, Gpu **into) {
    if (index >= gpu->cut) return NOT_FOUND;
    *into = &gpu->slices[index];
    return SUCCESS;
}
/* As ../gpu-topo says, a matrix as `nvidia-smi topo -m` prints it: 0 is NVML_P2P_STATUS_OK, 5 ..._NOT_SUPPORTED. */
Result nvmlDeviceGetP2PStatus(Gpu *one, Gpu *other, int what, int *into) {
    const char *folder = getenv("TESTBED_GPUS");
    char path[512], line[4096], name[16];
    (void)what;
    *into = 5;
    snprintf(path, sizeof path, "%s/../gpu-topo", folder ? folder : "/etc/testbed/gpus.d");
    snprintf(name, sizeof name, "GPU%d", (int)(one - gpus));
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char *word = strtok(line, " \t");
        if (!word || strcmp(word, name)) continue;
        for (int column = 0; word && column <= other - gpus; column++) word = strtok(NULL, " \t");
        if (word && !strncmp(word, "NV", 2)) *into = 0;
    }
    if (file) fclose(file);
    return SUCCESS;
}
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
Result nvmlDeviceGetPciInfo_v3(Gpu *gpu, Pci *into) {
    memset(into, 0, sizeof *into);
    into->bus = 17 + (gpu - gpus);
    snprintf(into->legacy, sizeof into->legacy, "0000:%02X:00.0", into->bus);
    snprintf(into->bus_id, sizeof into->bus_id, "00000000:%02X:00.0", into->bus);
    return SUCCESS;
}
/* Nobody computes here. */
Result nvmlDeviceGetComputeRunningProcesses_v3(Gpu *gpu, unsigned *many, void *into) {
    (void)gpu, (void)into;
    *many = 0;
    return SUCCESS;
}
