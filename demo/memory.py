"""How much memory a device has left; it knows neither models nor what would fill it."""

import psutil
import torch


def free_bytes(device: torch.device) -> float:
    """What can still be taken, with what torch holds for later use and uses for nothing now."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return psutil.virtual_memory().available
