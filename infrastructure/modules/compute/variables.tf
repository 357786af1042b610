variable "region" {
  description = "The AWS region of Bedrock and of the guardrail."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region, such as us-east-1."
  }
}

variable "bedrock_model" {
  description = "The Bedrock model, or inference profile, that answers first."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:-]+$", var.bedrock_model))
    error_message = "bedrock_model must be the id of a Bedrock model or inference profile."
  }
}

variable "anthropic_model" {
  description = "The Anthropic model that answers while Bedrock does not."
  type        = string

  validation {
    condition     = can(regex("^claude-[a-z0-9-]+$", var.anthropic_model))
    error_message = "anthropic_model must be the id of an Anthropic model, such as claude-sonnet-4-5."
  }
}

variable "guardrail" {
  description = "The Bedrock guardrail that reads every prompt and answer; null for none."
  type = object({
    identifier = string
    version    = string
  })
  default = null

  validation {
    condition     = var.guardrail == null ? true : can(regex("^([1-9][0-9]*|DRAFT)$", var.guardrail.version))
    error_message = "guardrail.version must be a published version's number, or DRAFT."
  }
}

variable "enable_prompt_caching" {
  description = "Whether repeated prefixes of prompts are cached by Bedrock."
  type        = bool
  default     = false
}

variable "min_termination_seconds" {
  description = "How long a task that is replaced serves on: at least the load balancer's deregistration delay."
  type        = number
  default     = 35

  validation {
    condition     = var.min_termination_seconds >= 30 && floor(var.min_termination_seconds) == var.min_termination_seconds
    error_message = "min_termination_seconds must be whole and at least 30, the load balancer's deregistration delay."
  }
}

variable "max_termination_seconds" {
  description = "When a task that is replaced ends what is left: below the stopTimeout of ECS, which is 120 at most."
  type        = number
  default     = 110

  validation {
    condition     = var.max_termination_seconds < 120 && floor(var.max_termination_seconds) == var.max_termination_seconds
    error_message = "max_termination_seconds must be whole and below 120, the longest stopTimeout of ECS."
  }

  validation {
    condition     = var.max_termination_seconds > var.min_termination_seconds
    error_message = "max_termination_seconds must be longer than min_termination_seconds."
  }
}

variable "request_timeout_seconds" {
  description = "How long a request may take, its answer included."
  type        = number
  default     = 100

  validation {
    condition     = var.request_timeout_seconds > 0 && floor(var.request_timeout_seconds) == var.request_timeout_seconds
    error_message = "request_timeout_seconds must be whole and positive."
  }
}

variable "attempts" {
  description = "How often a request is tried, the first time included."
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2, 3, 4, 5], var.attempts)
    error_message = "attempts must be 1 to 5."
  }
}

variable "eviction_seconds" {
  description = "How long Bedrock is passed over after it failed."
  type        = number
  default     = 30

  validation {
    condition     = var.eviction_seconds > 0 && floor(var.eviction_seconds) == var.eviction_seconds
    error_message = "eviction_seconds must be whole and positive."
  }
}

variable "eviction_failures" {
  description = "How many failures in a row it takes."
  type        = number
  default     = 1

  validation {
    condition     = var.eviction_failures > 0 && floor(var.eviction_failures) == var.eviction_failures
    error_message = "eviction_failures must be whole and positive."
  }
}

variable "log_level" {
  description = "The least severe level that the gateway logs."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level must be error, warn, info, debug or trace."
  }
}
