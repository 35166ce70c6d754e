// A stand-in for NVRTC, which compiles for the host: its images are libraries for the stand-in driver (driver.cpp). The
// compiler, its flags, the directory of host.hpp and the runtime's object are macros.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <unistd.h>

#define API extern "C" __attribute__((visibility("default"))) int

enum { OK = 0, INVALID_INPUT = 3, COMPILATION = 6 };

struct Program {
    std::string text, log, image, architecture;
};

static std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
}

API nvrtcVersion(int* major, int* minor) {
    *major = 13;
    *minor = 0;
    return OK;
}
API nvrtcGetNumSupportedArchs(int* count) {
    *count = 4;
    return OK;
}
API nvrtcGetSupportedArchs(int* found) {
    const int known[] = {75, 80, 90, 120};
    std::memcpy(found, known, sizeof known);
    return OK;
}
API nvrtcCreateProgram(Program** program, const char* text, const char*, int, const char* const*, const char* const*) {
    *program = new Program;
    (*program)->text = text;
    return OK;
}
API nvrtcDestroyProgram(Program** program) {
    delete *program;
    *program = nullptr;
    return OK;
}
API nvrtcCompileProgram(Program* program, int count, const char* const* options) {
    for (int k = 0; k < count; k++) {
        const std::string option = options[k], start = "--gpu-architecture=";
        if (option.rfind(start, 0) == 0) {
            program->architecture = option.substr(start.size());
        }
    }
    std::smatch found;
    const std::regex entry("ENTRY void __launch_bounds__\\(THREADS\\) (\\w+)\\(");
    if (program->architecture.empty() || !std::regex_search(program->text, found, entry)) {
        return INVALID_INPUT;
    }
    const std::string name = found[1];
    char directory[] = "/tmp/gmatrix-stand-in-XXXXXX";
    if (mkdtemp(directory) == nullptr) {
        return INVALID_INPUT;
    }
    const std::string base = directory, source = base + "/kernel.cpp", library = base + "/kernel.so", log = base + "/log";
    std::ofstream file(source);
    file << "#include \"host.hpp\"\n" << program->text;
    if (std::getenv("GMATRIX_STANDIN_WRONG") != nullptr) {
        file << "int wrong = undeclared;\n";
    }
    file << "const cuda_host::Specialisation cuda_host::SPECIALISATIONS[] = {{[](const void* launch) { kernel::" << name
         << "(*static_cast<const kernel::Launch*>(launch)); }, kernel::THREADS, sizeof(kernel::Launch)}};\n"
         << "#define SHOWN extern \"C\" __attribute__((visibility(\"default\")))\n"
         << "SHOWN const char gmatrix_kernel_name[] = \"" << name << "\";\n"
         << "SHOWN const unsigned gmatrix_kernel_threads = kernel::THREADS;\n"
         << "SHOWN const std::size_t gmatrix_kernel_bytes = sizeof(kernel::Launch);\n";
    file.close();
    const std::string command = std::string(COMPILER) + " " + FLAGS + " -w -shared -I" + INCLUDE + " -o " + library + " " +
                                source + " " + RUNTIME + " > " + log + " 2>&1";
    const int code = std::system(command.c_str());
    program->log = contents(log);
    const std::string made = code == 0 ? contents(library) : "";
    program->image = "stand-in " + program->architecture + " " + std::to_string(made.size()) + "\n" + made;
    for (const std::string& path : {source, library, log}) {
        unlink(path.c_str());
    }
    rmdir(directory);
    return code == 0 ? OK : COMPILATION;
}
API nvrtcGetProgramLogSize(Program* program, std::size_t* size) {
    *size = program->log.size() + 1;
    return OK;
}
API nvrtcGetProgramLog(Program* program, char* log) {
    std::memcpy(log, program->log.c_str(), program->log.size() + 1);
    return OK;
}
static bool is_machine_code(const Program* program) { return program->architecture.rfind("sm_", 0) == 0; }
API nvrtcGetCUBINSize(Program* program, std::size_t* size) {
    *size = is_machine_code(program) ? program->image.size() : 0;
    return OK;
}
API nvrtcGetCUBIN(Program* program, char* image) {
    std::memcpy(image, program->image.data(), is_machine_code(program) ? program->image.size() : 0);
    return OK;
}
API nvrtcGetPTXSize(Program* program, std::size_t* size) {
    *size = program->image.size();
    return OK;
}
API nvrtcGetPTX(Program* program, char* image) {
    std::memcpy(image, program->image.data(), program->image.size());
    return OK;
}
