variable "gateway_image" {
  description = "The gateway's image, by digest. The default is kept by gateway-bot; a release sets its own copy."
  type        = string
  default     = "ghcr.io/agentgateway/agentgateway:v1.3.1@sha256:c3ce7b75da90fef70239befcc1c3adc05152d7b9dd21fcb8351178026a2c4381"

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.gateway_image))
    error_message = "gateway_image must name the image by digest (...@sha256:<64 hex digits>)."
  }
}
